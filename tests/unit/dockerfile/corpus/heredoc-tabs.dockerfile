FROM registry.example/base
RUN <<-EOF
	a
		b
	EOF
