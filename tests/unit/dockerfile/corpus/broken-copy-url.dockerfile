FROM registry.example/base
COPY https://registry.example/f /f
