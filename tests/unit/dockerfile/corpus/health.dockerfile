FROM registry.example/base
HEALTHCHECK --interval=5s --timeout=1m30s --start-period=2h --start-interval=100ms --retries=3 CMD a b
