FROM registry.example/base
RUN cat <<<word
LABEL a=b
