# syntax=one
# syntax=two
FROM registry.example/base
