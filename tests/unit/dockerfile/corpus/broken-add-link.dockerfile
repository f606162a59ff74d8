FROM registry.example/base
ADD --link f /f
