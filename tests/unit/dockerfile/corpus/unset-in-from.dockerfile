ARG VERSION
FROM registry.example/i:1${VERSION}
