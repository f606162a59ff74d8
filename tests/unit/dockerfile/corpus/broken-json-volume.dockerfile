FROM registry.example/base
VOLUME [1]
