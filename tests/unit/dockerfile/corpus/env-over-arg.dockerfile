FROM registry.example/base
ARG A=arg
ENV A=env
ARG A=again
LABEL a=$A
