FROM registry.example/base
ARG S=SIGINT
STOPSIGNAL $S
