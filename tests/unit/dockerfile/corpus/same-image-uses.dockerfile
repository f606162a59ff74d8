FROM registry.example/i AS a
FROM --platform=linux/amd64 registry.example/i AS b
FROM registry.example/i
COPY --from=registry.example/i /bin/sh /x
COPY --from=a /bin/sh /x
RUN --mount=type=bind,from=b,target=/b x
