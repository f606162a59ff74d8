FROM registry.example/base
ENV A=$NOPE B=${NOPE:-d} C=${NOPE}x
