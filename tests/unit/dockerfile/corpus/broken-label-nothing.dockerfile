FROM registry.example/base
LABEL
