FROM registry.example/base
ARG A=1
ENV X=${U:-${A:+${A}2}} Y="${U:-a b}" Z=${U:-"q r"}
