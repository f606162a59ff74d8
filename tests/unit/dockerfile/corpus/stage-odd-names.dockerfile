FROM scratch AS a.b-c_d
FROM scratch AS UPPER
COPY f /f
FROM scratch
COPY --from=UPPER /f /f
