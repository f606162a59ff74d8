FROM x
COPY --from=scratch /a /b
