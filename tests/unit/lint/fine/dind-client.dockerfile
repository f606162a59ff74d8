FROM alpine:3.22
ARG DOCKER_VERSION=28.3.3
RUN apk add --no-cache curl git openssh-client \
    && curl -fsSL "https://example.com/docker-${DOCKER_VERSION}.tgz" | tar xz --strip-components=1 -C /usr/local/bin docker/docker \
    && docker --version && docker completion bash > /etc/bash_completion.d/docker
ENV DOCKER_HOST=tcp://docker:2376 DOCKER_TLS_CERTDIR=/certs
ENTRYPOINT ["/usr/local/bin/docker"]
CMD ["version"]
