FROM registry.example/base
RUN --mount=type=bind,from=,target=/m a
