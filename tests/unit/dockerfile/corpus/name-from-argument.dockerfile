ARG S=x
FROM scratch AS stage-$S
LABEL a=b
FROM stage-x
COPY --from=stage-$S /a /b
