FROM registry.example/base
COPY a*.txt b?.c c[12] /d/
