# comment
ARG V=1
FROM scratch AS a
COPY f /f
# c
LABEL x=1 \
  # inner
  y=2
FROM scratch AS unused
COPY f /u
FROM scratch AS onb
ONBUILD LABEL z=1
ONBUILD COPY f /onb
FROM onb AS final
COPY --from=a /f /g
LABEL q=1
FROM scratch AS after
COPY f /k
