FROM registry.example/base
CMD [{"a": 1}]
