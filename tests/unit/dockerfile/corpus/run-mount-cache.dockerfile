FROM registry.example/base
RUN --mount=type=cache,target=/c,id=k,sharing=locked,mode=0755,uid=1,gid=2 a
RUN --mount=type=cache,dst=/c,ro b
RUN --mount=type=cache,destination=/c,sharing=shared c
