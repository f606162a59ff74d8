FROM registry.example/base
ARG A=a
ENV X=${A^^}
