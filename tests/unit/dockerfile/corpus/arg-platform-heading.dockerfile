ARG TAG=v$TARGETARCH
FROM registry.example/base:$TAG
