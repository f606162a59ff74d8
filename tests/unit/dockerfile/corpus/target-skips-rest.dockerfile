FROM registry.example/base AS a
RUN x
FROM a AS b
COPY --chmod=zzz f /f
