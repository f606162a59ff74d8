FROM registry.example/base
SHELL ["/bin/sh", "-x", "-c"]
RUN a
