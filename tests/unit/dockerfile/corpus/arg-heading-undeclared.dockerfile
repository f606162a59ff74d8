FROM registry.example/base:${A:-1}
ENV E=$A
ARG A
ENV F=$A
