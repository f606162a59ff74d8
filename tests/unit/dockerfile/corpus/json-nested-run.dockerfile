FROM registry.example/base
RUN [ -f /x ] || a
