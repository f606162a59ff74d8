FROM registry.fedoraproject.org/fedora:43
LABEL org.opencontainers.image.title="builder" \
      org.opencontainers.image.description="tools: mount; umount && docker run"
RUN dnf -y install systemd httpd podman fuse-overlayfs iptables-nft && dnf clean all && \
    systemctl enable httpd.service && systemctl mask systemd-remount-fs.service && \
    sed -i 's/^#mount_program/mount_program/' /etc/containers/storage.conf
RUN echo "net.ipv4.ip_forward = 1" > /etc/sysctl.d/99-forward.conf && \
    echo "fuse" >> /etc/modules-load.d/fuse.conf && \
    echo build:10000:5000 > /etc/subuid
EXPOSE 80 443
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
