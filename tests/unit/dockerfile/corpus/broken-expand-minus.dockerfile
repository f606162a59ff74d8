FROM registry.example/base
ENV X=${U-d}
