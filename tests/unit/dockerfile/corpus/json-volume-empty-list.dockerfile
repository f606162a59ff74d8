FROM registry.example/base
VOLUME []
LABEL a=b
