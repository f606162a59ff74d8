FROM registry.example/base
ADD f
