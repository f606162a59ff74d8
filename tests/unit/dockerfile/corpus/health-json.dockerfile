FROM registry.example/base
HEALTHCHECK CMD ["a", "b"]
