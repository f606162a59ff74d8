FROM registry.example/base
ARG A=1
ENV X=${A//b}
ENV Y=${A/}
