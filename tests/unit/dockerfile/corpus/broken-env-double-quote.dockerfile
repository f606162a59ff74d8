FROM registry.example/base
ENV A="open
