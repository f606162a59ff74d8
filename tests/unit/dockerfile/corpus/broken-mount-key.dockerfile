FROM registry.example/base
RUN --mount=type=bind,target=/m,mode=0755 a
