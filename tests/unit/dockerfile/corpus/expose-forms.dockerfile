FROM registry.example/base
EXPOSE 80 443/tcp 53/udp 53/tcp 8000-8010 9000-9001/udp
EXPOSE "90"
ARG P="1 2"
EXPOSE $P
EXPOSE "$P"
