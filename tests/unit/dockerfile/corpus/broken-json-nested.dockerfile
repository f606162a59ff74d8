FROM registry.example/base
CMD ["a", ["b"]]
