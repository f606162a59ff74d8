FROM scratch AS one
ONBUILD ARG V=1
ONBUILD ENV W=$V
FROM one AS two
ONBUILD COPY f /d/$W
FROM two AS three
LABEL w=$W
FROM three
LABEL x=y
