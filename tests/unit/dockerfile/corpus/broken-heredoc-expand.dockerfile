FROM registry.example/base
COPY <<EOF /a
${x
EOF
