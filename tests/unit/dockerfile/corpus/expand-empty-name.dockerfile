FROM registry.example/base
ENV X=a${}b
