FROM registry.example/base
RUN --mount=type=secret,target=/s b
