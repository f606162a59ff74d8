# syntax=docker/dockerfile:1
# escape=`
FROM registry.example/base
RUN a \
 b
