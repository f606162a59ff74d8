FROM registry.example/base AS a
RUN x
FROM a
