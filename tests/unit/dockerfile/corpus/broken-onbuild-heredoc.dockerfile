FROM scratch AS one
ONBUILD COPY <<EOF /d/
text
EOF
FROM one
