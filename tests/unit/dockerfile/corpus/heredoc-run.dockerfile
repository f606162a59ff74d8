FROM registry.example/base
RUN <<EOF
a
b $x
EOF
RUN b
