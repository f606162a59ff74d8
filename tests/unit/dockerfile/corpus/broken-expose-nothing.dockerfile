FROM registry.example/base
EXPOSE
