ARG V=v30
FROM registry.example/base:${V#v}
