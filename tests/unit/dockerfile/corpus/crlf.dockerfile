# escape=`
FROM scratch
RUN a `
  b
COPY f `
  /x
