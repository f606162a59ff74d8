FROM registry.example/base
RUN --mount=type=bind,target=/m a
RUN --mount=type=bind,source=d/,dst=/m,rw b
RUN --mount=target=rel,src=f,ro c
