FROM x
COPY a b
RUN cat <<EOF \
 && x
text
EOF 
