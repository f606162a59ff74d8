FROM registry.example/base
RUN cat <<A && cat <<"B"
one
A
two
B
