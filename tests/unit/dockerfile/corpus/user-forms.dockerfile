FROM registry.example/base
USER 1000:1000
USER app user
USER "quoted"
ARG U=x
USER $U:${G:-0}
