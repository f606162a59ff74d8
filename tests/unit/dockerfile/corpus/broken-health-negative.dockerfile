FROM registry.example/base
HEALTHCHECK --start-period=-1s CMD a
