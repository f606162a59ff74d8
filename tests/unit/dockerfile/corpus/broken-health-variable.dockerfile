FROM registry.example/base
ARG I=5s
HEALTHCHECK --interval=$I CMD a
