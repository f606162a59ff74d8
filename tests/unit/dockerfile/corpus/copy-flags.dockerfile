FROM registry.example/base
COPY --chown=1:2 --chmod=0755 f /f
COPY --chmod=644 --exclude=*.md d/ /d/
ADD --chown=3 --chmod=600 f /g
