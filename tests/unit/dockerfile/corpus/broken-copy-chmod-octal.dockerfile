FROM registry.example/base
COPY --chmod=0789 f /f
