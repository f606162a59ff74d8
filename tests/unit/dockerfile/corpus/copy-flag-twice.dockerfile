FROM registry.example/base
COPY --chown=1 --chown=2 f /f
