# comment \
FROM registry.example/base
