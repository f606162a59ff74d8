ARG A=1
FROM registry.example/base:$A
ARG A
ENV E=$A
