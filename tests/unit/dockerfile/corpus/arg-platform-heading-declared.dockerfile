ARG BUILDOS
ARG TAG=v-$BUILDOS
FROM registry.example/base:$TAG
ENV E=1
