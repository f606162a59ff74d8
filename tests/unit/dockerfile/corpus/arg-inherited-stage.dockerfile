FROM registry.example/base AS a
ARG X=1
ENV E=$X
FROM a
ENV F=[$X][$E]
