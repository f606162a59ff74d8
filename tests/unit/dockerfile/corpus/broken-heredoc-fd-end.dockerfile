FROM registry.example/base
COPY <<A <<B /d/
a
A
b
