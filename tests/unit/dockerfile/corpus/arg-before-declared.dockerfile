FROM registry.example/base
ENV E=[$A]
ARG A=1
ENV F=[$A]
