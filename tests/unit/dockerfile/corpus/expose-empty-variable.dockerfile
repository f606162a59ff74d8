FROM registry.example/base
ARG NOPE
LABEL a=b
EXPOSE 80 $NOPE
