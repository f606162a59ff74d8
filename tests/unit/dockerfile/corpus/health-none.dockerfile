FROM registry.example/base
HEALTHCHECK NONE
