FROM registry.example/base
ARG A=$NOPE
ARG B=${NOPE:-x}
ENV E=[$A][$B]
