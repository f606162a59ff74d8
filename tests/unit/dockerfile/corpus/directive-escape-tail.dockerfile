# escape=\ and more
FROM registry.example/base
RUN a \
 b
