FROM registry.example/base
COPY <<E /x
E
RUN a
