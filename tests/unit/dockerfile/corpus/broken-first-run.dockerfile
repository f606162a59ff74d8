# c
RUN a
FROM x
