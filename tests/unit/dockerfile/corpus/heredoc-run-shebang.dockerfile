FROM registry.example/base
RUN <<EOF
#!/usr/bin/env tool
print("x")
EOF
