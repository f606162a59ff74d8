FROM registry.example/base
ENV A=<<EOF
LABEL a=b
