FROM registry.example/base
RUN --network= a
