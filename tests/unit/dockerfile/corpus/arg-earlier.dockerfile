FROM registry.example/base
ARG A=1
ARG B=${A}2
ARG C=$B D=$C
ENV E="$B $C $D"
