FROM registry.example/base
RUN --mount=type=ssh a
RUN --mount=type=ssh,id=default,target=/s,required=true,mode=0600 b
