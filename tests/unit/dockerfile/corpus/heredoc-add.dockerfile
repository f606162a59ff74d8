FROM registry.example/base
ADD <<f.txt /d/
x
f.txt
