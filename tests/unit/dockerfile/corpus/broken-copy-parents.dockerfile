FROM registry.example/base
COPY --parents f /f
