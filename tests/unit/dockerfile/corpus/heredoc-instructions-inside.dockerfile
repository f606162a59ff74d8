FROM registry.example/base
COPY <<EOF /Dockerfile
FROM x
RUN y \
EOF
LABEL a=b
