ARG S=x
FROM registry.example/base AS stage-$S
FROM scratch
COPY --from=stage-$S /bin/sh /b
