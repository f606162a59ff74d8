FROM registry.example/base
ARG W=f
RUN --mount=source=$W,target=/m x
