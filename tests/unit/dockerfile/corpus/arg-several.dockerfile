FROM registry.example/base
ARG A=1 B C="x y"
ENV E="$A-$B-$C"
