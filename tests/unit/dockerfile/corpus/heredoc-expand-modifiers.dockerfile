FROM registry.example/base
ARG v=v1.2.3
COPY <<EOF /a
${v#v} ${v%%.*} ${v/1/2} ${v:+set}
EOF
