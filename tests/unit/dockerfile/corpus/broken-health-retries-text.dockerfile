FROM registry.example/base
HEALTHCHECK --retries=many CMD a
