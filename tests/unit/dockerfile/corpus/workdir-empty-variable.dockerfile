FROM registry.example/base
ARG W
WORKDIR /a
WORKDIR $W
