FROM registry.example/base
HEALTHCHECK --interval=5 CMD a
