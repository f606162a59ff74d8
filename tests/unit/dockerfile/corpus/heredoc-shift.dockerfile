FROM registry.example/base
RUN echo $((1<<2)) && a
LABEL a=b
