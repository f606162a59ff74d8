FROM registry.example/base
HEALTHCHECK --interval CMD a
