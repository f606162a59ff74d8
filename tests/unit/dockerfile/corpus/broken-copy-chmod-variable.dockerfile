FROM registry.example/base
ARG M=rwx
COPY --chmod=$M f /f
