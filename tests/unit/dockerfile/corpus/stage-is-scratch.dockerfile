FROM registry.example/base AS scratch
FROM scratch
COPY f /f
