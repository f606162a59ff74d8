FROM registry.example/base AS a
BUILD x
FROM registry.example/base
