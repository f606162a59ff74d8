FROM registry.example/base
WORKDIR
