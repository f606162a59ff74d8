FROM registry.example/base:1
LABEL a=b
