FROM registry.example/base AS one
FROM registry.example/base
ARG T=/t S=etc
RUN --mount=type=bind,from=one,source=$S,target=$T --mount=type=cache,target=/u$T x
