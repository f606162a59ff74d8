FROM registry.example/base
ARG U
USER $U
