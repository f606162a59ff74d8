FROM registry.example/base
STOPSIGNAL 0
