FROM registry.example/base
RUN cat << EOF
LABEL a=b
