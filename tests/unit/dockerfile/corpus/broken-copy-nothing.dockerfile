FROM registry.example/base
COPY
