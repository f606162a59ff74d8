FROM registry.example/base
EXPOSE http 99999 1/2/3 0
