# escape=`
# syntax=docker/dockerfile:1
FROM registry.example/base
RUN a `
 b
ENV P=C:\dir
