FROM registry.example/base
HEALTHCHECK --interval --timeout=3s CMD a
