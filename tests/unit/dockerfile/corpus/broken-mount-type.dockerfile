FROM registry.example/base
RUN --mount=type=volume,target=/v a
