FROM registry.example/base
COPY <<EOF /x
it's
EOF
