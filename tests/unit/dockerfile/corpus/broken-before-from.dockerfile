ARG A
RUN x
FROM registry.example/base
