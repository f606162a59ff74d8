FROM scratch AS Base
FROM base
COPY --from=BASE /a /b
