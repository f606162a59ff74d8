FROM registry.example/base
ENV N=X
ARG $N=1
ENV E=[$X]
