FROM registry.example/base
RUN cat << EOF
x
EOF
