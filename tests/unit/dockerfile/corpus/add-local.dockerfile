FROM scratch
ARG V=2
ADD local-$V.tgz f /d/
COPY ["with blank", "$V", "/d/"]
