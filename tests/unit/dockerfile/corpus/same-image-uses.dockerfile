FROM registry.example/i AS a
FROM --platform=linux/arm64 registry.example/i AS b
FROM registry.example/i
COPY --from=registry.example/i /x /x
COPY --from=a /x /x
RUN --mount=type=bind,from=b,target=/b x
