FROM registry.example/base
RUN --mount=type=secret,id=a,required=maybe b
