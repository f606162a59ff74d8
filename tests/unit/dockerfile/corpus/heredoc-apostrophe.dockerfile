FROM registry.example/base
RUN echo it's <<EOF
LABEL a=b
