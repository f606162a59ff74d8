ARG A=1
ARG B=$A.2
FROM registry.example/base:$B
ENV E=[$A][$B]
ARG B
ENV F=[$A][$B]
ARG A=3
ENV G=[$A]
