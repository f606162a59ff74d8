FROM registry.example/base
HEALTHCHECK --retries=0 CMD a
