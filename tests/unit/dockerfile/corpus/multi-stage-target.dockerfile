# syntax=docker/dockerfile:1
ARG GO=1.22
ARG BASE=registry.example/base

FROM registry.example/golang:${GO} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache \
    --mount=type=bind,source=scripts,target=/scripts \
    go mod download
COPY . .
# built once
RUN go build -o /out/app ./...

FROM registry.example/node:20 AS unused
RUN npm ci

FROM build AS test
RUN go test ./...

FROM ${BASE}:${TARGETARCH}
COPY --from=build /out/app /usr/bin/app
COPY --from=registry.example/certs:1 /etc/ssl /etc/ssl
USER 1001
WORKDIR /data
WORKDIR sub
EXPOSE 8080 9090/UDP
ENTRYPOINT ["/usr/bin/app"]
CMD ["serve"]
STOPSIGNAL SIGINT
VOLUME /data /cache
LABEL org.opencontainers.image.title="An app" v=$GO
