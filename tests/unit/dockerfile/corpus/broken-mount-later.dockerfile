FROM x
RUN --mount=from=b,target=/b y
FROM z AS b
