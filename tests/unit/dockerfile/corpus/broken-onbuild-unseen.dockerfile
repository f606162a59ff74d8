FROM x AS a
FROM y AS b
ONBUILD COPY --from=a /f /g
FROM b
