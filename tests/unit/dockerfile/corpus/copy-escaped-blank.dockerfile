FROM registry.example/base
COPY with\ blank /d/
