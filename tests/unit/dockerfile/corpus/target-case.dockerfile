FROM scratch AS Final
COPY f /f
