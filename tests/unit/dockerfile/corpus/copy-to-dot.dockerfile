FROM registry.example/base
WORKDIR /w
COPY f .
COPY g sub/
