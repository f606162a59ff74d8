FROM x
COPY a \
 b
COPY \
  --form=y a b
