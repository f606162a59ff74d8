FROM registry.example/base
ONBUILD COPY --from=registry.example/tools /bin/sh /x
