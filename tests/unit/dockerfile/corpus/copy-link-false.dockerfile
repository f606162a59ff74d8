FROM registry.example/base
COPY --link=false --parents=false f /f
ADD --link=false --keep-git-dir=false f /g
