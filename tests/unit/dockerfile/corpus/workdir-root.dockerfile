FROM registry.example/base
WORKDIR /
WORKDIR ..
