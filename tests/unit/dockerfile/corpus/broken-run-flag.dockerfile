FROM x
RUN --security=insecure y
