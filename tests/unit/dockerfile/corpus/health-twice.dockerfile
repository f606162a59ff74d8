FROM registry.example/base
HEALTHCHECK CMD a
HEALTHCHECK --retries=1 cmd b
