FROM registry.example/base
ARG U=1000
ENV G=10
COPY --chown=$U:${G} f /f
