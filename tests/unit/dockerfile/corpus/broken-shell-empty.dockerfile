FROM registry.example/base
SHELL []
