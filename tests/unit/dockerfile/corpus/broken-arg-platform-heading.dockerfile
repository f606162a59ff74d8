ARG BUILDPLATFORM=linux/mips
FROM registry.example/base
