FROM registry.example/base
HEALTHCHECK CMD --interval=5s a
