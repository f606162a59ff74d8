FROM scratch
LABEL a=b
FROM 0
LABEL c=d
