FROM registry.example/base
VOLUME
