FROM registry.example/base
ENTRYPOINT ["a", null]
