FROM registry.example/base
ARG A=1
ENV E=[${A:-dflt}] F=[$A]
