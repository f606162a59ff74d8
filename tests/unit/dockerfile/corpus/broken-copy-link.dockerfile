FROM registry.example/base
COPY --link f /f
