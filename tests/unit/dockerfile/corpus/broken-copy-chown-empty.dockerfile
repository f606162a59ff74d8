FROM registry.example/base
COPY --chown= f /f
