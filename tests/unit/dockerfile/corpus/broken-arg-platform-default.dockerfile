FROM registry.example/base
ARG TARGETPLATFORM=linux/mips
