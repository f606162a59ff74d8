FROM registry.example/base AS
