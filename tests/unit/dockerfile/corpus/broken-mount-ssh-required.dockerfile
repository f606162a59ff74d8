FROM registry.example/base
RUN --mount=type=ssh,required a
