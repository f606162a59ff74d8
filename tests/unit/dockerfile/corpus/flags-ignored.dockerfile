FROM registry.example/base
ENV --x=1 A=1
CMD --flag a
LABEL --y b=c
WORKDIR --z /w
