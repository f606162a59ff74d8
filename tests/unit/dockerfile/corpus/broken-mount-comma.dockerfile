FROM registry.example/base
RUN --mount=type=bind,target=/m, a
