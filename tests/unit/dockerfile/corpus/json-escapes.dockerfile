FROM registry.example/base
CMD ["a\tb", "\u00e9\"", "\\\\"]
