FROM scratch
ONBUILD RUN a
SHELL ["/bin/bash", "-c"]
HEALTHCHECK --interval=1s CMD b
MAINTAINER me
