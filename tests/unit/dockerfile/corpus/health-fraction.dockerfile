FROM registry.example/base
HEALTHCHECK --interval=1.5h --timeout=1h2m3.4s CMD a
