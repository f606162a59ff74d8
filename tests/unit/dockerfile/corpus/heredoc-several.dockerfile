FROM registry.example/base
COPY <<one <<two f /d/
1
one
2
two
LABEL after=it
