FROM x
RUN --mount y
