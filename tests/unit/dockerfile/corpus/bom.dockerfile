FROM registry.example/base
LABEL a=b
