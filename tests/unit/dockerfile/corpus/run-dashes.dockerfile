FROM registry.example/base
RUN -- a --b
RUN a --mount=x
