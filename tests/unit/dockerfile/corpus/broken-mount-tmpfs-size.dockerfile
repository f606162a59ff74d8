FROM registry.example/base
RUN --mount=type=tmpfs,target=/t,size=1m a
