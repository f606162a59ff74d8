FROM scratch
ENV PORTS="80 81/udp"
EXPOSE $PORTS 80 "90"
USER ${U:-nobody}:${G:-nogroup}
