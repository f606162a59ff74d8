FROM registry.example/base
ENV A=a\
b C="x\
y"
