FROM registry.example/base
ARG A=abc
ENV X=${A:1}
