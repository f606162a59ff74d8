FROM registry.example/base
RUN a \
# in between
  # indented
  b \
#last
