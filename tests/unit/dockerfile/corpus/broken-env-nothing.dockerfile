FROM registry.example/base
ENV
