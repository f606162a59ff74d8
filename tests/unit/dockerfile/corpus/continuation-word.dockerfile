FROM registry.example/base
ENV LONG=abc\
def
ENV MORE="a \
   b"
