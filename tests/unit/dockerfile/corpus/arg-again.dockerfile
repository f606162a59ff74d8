FROM registry.example/base
ARG A=1
ARG A
ENV E=[$A]
