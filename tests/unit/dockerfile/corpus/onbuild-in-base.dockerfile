FROM registry.example/base AS a
ONBUILD ENV A=1 B=$A
ONBUILD WORKDIR /w
FROM a AS b
LABEL x=$A
FROM b
RUN c
