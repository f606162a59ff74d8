FROM registry.example/base AS One
FROM registry.example/base AS one
FROM One
COPY --from=one /bin/sh /x
