FROM registry.example/base
EXPOSE 53/tcp
EXPOSE 53/udp
