FROM registry.example/base
RUN --mount=from=registry.example/tools a
