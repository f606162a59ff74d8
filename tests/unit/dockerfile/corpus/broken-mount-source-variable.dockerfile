FROM registry.example/base
ARG W=f
RUN --mount=type=bind,source=$W,target=/m x
