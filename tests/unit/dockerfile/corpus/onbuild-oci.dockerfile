FROM scratch AS a
ONBUILD COPY f /f
FROM a
LABEL x=y
