FROM registry.example/base
HEALTHCHECK --timeout=5sec CMD a
