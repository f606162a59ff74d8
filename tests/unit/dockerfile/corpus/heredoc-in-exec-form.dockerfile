FROM registry.example/base
RUN ["sh", "<<EOF"]
LABEL a=b
