FROM registry.example/base AS one
FROM registry.example/base
ENV S=registry.example/tools
COPY --from=$S /bin/sh /x
