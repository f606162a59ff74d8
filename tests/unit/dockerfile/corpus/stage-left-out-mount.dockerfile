FROM registry.example/base AS one
RUN --mount=type=nope,target=/x y
FROM registry.example/base
