FROM x
RUN cat <<EOF>f
text
EOF
