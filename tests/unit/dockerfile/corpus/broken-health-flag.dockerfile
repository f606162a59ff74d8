FROM x
HEALTHCHECK --intervall=1s CMD x
