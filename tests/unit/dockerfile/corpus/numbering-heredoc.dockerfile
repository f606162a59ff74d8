FROM scratch
COPY <<EOF <<-"E2" g* /
hello
EOF
	tabs $x
	E2
label   a=b
   COPY f   \
# comment

  /x
