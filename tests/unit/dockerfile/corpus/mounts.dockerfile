FROM scratch AS tools
FROM registry.example/i
RUN --mount=from=tools,target=/t --mount=type=bind,from=registry.example/j,source=/etc,target=/j x
RUN --mount=type=secret,id=npm --mount=type=secret,id=key,target=/run/secrets/key --mount=type=ssh y
RUN --mount=type=bind,src=src,target=/s --mount=target=/c --network=none z
RUN --mount=type=cache,target=/c,from=tools w
