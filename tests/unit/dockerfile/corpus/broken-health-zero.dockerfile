FROM registry.example/base
HEALTHCHECK --interval=0s CMD a
