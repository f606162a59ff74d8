FROM registry.example/base
RUN --mount=from=registry.example/tools,source=/bin,target=/t a
