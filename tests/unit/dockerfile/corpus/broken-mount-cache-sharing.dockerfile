FROM registry.example/base
RUN --mount=type=cache,target=/c,sharing=private a
