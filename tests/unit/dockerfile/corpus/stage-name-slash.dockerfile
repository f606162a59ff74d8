FROM scratch AS a/b
COPY f /f
FROM scratch
COPY --from=a/b /f /g
