FROM registry.example/base
RUN --network=nope a
