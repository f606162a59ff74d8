FROM registry.example/base AS one
FROM registry.example/base
ARG S=one
COPY --from=$S /bin/sh /x
