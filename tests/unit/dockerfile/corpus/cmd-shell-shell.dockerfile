FROM registry.example/base
SHELL ["/bin/bash", "-ec"]
CMD a b
ENTRYPOINT c
RUN d
