ARG S=a
FROM registry.example/base AS a
FROM registry.example/base AS b
FROM scratch
ARG S
COPY --from=$S /bin/sh /x
