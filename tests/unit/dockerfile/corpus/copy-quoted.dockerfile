FROM registry.example/base
COPY "f" 'g' /d/
