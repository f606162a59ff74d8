FROM registry.example/base
ADD --chmd=1 f /f
