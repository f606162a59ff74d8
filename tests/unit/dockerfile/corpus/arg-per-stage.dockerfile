FROM registry.example/base AS a
ARG X=1
ENV E=$X
FROM registry.example/base
ENV F=[$X]
COPY --from=a /bin/sh /x
