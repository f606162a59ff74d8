FROM scratch AS a
COPY f /f
FROM scratch
COPY --from=0 /f /g
FROM scratch
COPY f /f
COPY --from=1 /g /h
