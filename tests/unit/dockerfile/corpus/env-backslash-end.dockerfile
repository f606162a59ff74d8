FROM registry.example/base
ENV A="b\c" B=b\c C='b\c'
