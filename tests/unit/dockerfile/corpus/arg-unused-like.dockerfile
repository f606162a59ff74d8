FROM registry.example/base
ARG VERSION=1
