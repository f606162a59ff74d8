FROM registry.example/base
RUN --mount=type=bind,source=f a
