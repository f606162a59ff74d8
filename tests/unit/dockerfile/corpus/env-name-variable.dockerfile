FROM registry.example/base
ENV N=X
ENV $N=1
