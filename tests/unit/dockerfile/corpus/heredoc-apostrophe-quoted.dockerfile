FROM registry.example/base
COPY <<'EOF' /x
it's
EOF
RUN <<EOF
it's
EOF
