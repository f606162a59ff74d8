FROM registry.example/base
RUN <<EOF
#!/usr/bin/python3
print("x")
EOF
