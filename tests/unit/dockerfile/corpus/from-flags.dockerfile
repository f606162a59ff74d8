FROM --platform=linux/amd64 registry.example/base AS a
FROM a
