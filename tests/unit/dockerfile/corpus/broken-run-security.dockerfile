FROM registry.example/base
RUN --security=insecure a
