FROM registry.example/base AS one
FROM scratch
COPY --from=0 /bin/sh /x
