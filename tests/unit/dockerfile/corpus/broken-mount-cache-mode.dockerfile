FROM registry.example/base
RUN --mount=type=cache,target=/c,mode=u+w a
