FROM registry.example/base
ARG x=1
COPY <<'EOF' /a
$x
EOF
COPY <<"EOF" /b
$x
EOF
COPY <<E\OF /c
$x
EOF
