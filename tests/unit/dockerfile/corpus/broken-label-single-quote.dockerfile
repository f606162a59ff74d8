FROM registry.example/base
LABEL a='open
