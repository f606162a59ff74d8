FROM registry.example/base
COPY --link=maybe f /f
