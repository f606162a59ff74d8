FROM registry.example/base
COPY --chmod=u+x f /f
