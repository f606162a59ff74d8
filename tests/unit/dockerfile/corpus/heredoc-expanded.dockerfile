FROM registry.example/base
ARG x=1
COPY <<EOF /a
$x ${x:-2} ${y-none} "quoted" \$x
EOF
