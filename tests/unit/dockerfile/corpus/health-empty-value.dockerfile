FROM registry.example/base
HEALTHCHECK --interval= --retries= CMD a
