FROM registry.example/base
RUN --mount=type=secret,id=a x
RUN --mount=type=secret,id=b,target=/s,mode=0440,uid=1,gid=1,required=false y
RUN --mount=type=secret,id=c,required z
