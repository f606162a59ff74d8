FROM registry.example/base
CMD
ENTRYPOINT
