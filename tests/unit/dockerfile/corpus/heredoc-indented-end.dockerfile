FROM registry.example/base
RUN <<EOF
a
 EOF
EOF
