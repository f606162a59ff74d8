FROM registry.example/base
RUN 3<<EOF cat
x
EOF
