FROM registry.example/base
ARG N=none
RUN --network=$N a
