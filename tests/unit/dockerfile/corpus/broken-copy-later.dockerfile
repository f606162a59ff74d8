FROM x
COPY --from=late /a /b
FROM y AS late
