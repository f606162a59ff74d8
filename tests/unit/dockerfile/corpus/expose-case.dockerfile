FROM registry.example/base
EXPOSE 80/TCP 81/Udp
