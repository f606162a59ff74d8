FROM registry.example/base
RUN --mount=type=secret,id=a,env=TOKEN b
