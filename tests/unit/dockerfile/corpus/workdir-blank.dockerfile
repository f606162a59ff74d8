FROM registry.example/base
WORKDIR /a b
