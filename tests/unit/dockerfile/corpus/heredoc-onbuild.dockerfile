FROM registry.example/base
ONBUILD RUN <<EOF
a
EOF
LABEL a=b
