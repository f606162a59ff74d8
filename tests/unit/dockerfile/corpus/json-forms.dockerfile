FROM registry.example/base
RUN ["/bin/sh", "b c"]
CMD []
ENTRYPOINT []
VOLUME ["/a", "/b c"]
COPY ["f", "with blank", "/d/"]
SHELL ["/bin/bash", "-c"]
