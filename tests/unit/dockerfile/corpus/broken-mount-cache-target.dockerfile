FROM registry.example/base
RUN --mount=type=cache a
