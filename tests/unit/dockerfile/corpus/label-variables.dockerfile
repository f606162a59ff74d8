FROM registry.example/base
ARG V=1
LABEL v=$V w="$V" x='$V' $V=name
