FROM registry.example/base
RUN --mount=type=cache,taget=/c a
