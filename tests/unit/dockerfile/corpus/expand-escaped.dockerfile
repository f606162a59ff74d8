FROM registry.example/base
ARG A=1
ENV X=\${A} Y=$\{A} Z="\${A}" W=\\$A
