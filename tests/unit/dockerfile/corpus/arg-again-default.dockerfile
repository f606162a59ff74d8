FROM registry.example/base
ARG A=1
ARG A=2
ENV E=[$A]
