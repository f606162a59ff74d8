FROM registry.example/base
RUN --mount=type=tmpfs,target=/t a
RUN --mount=type=tmpfs,dst=/t,tmpfs-size=1m b
