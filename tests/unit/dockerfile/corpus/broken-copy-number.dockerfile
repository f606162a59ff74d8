FROM x
COPY --from=7 /a /b
