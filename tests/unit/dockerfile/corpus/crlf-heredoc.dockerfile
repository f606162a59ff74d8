# escape=\
FROM registry.example/base
COPY <<EOF /x
hello
EOF
RUN a \
  b
