FROM registry.example/base
COPY --from f /f
