FROM registry.example/base
ENTRYPIONT ["a"]
