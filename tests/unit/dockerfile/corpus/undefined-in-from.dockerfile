ARG VERSION=1
FROM registry.example/i:1${VERSIN}
