FROM x AS me
COPY --from=me /a /b
