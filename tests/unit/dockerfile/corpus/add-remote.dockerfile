FROM scratch
ARG V=2
ADD https://registry.example/x-$V.tgz git@registry.example:a/b.git local-$V.tgz /d/
ADD --checksum=sha256:ab https://registry.example/y /d/
COPY ["with blank", "$V", "/d/"]
