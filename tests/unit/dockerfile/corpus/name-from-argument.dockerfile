ARG S=x
FROM registry.example/base AS stage-$S
LABEL a=b
FROM stage-x
ARG S
COPY --from=stage-$S /bin/sh /b
