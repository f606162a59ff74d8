FROM x AS a
FROM y
RUN x
COPY \
   --from=$NOPE /a /b
