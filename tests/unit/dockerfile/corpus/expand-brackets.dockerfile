FROM registry.example/base
ARG V=abc123
ENV A=${V#[a-z]} B=${V##[a-z]*} C=${V%[0-9]}
