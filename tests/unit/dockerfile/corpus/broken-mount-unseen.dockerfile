FROM x AS a
FROM y
RUN --mount=from=0,target=/b y
