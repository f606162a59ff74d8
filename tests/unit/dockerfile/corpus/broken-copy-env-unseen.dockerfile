FROM x AS a
FROM y
ENV S=a
COPY --from=$S /a /b
