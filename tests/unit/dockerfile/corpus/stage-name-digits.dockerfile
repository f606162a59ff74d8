FROM scratch AS 1st
COPY f /f
FROM scratch
COPY --from=1st /f /g
