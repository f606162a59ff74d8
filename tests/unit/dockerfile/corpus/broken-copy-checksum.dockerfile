FROM registry.example/base
COPY --checksum=sha256:00 f /f
