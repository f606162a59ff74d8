FROM registry.example/base AS one
FROM registry.example/base
ARG S=one
RUN --mount=type=bind,from=one,target=/m1 --mount=type=bind,from=$S,target=/m2 x
