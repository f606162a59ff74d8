FROM registry.example/base
RU\
N a
