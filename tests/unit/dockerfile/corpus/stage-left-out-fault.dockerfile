FROM registry.example/base AS a
COPY --chmod=zzz f /f
HEALTHCHECK --interval=x CMD y
ENV A=${x-y}
FROM registry.example/base
