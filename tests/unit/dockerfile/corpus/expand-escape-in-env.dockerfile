# escape=`
FROM registry.example/base
ENV A=a`b B="`$x" C=\$x
