# magic=on
# escape=`
FROM registry.example/base
RUN a \
 b
