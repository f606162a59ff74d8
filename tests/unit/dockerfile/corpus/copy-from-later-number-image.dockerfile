FROM scratch AS a
COPY f /f
FROM scratch
COPY --from=a f /g
