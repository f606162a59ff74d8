FROM registry.example/base
RUN --network=default a
RUN --network=none b
RUN --network=host c
