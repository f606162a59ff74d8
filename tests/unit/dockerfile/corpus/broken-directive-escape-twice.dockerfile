# escape=`
# escape=\
FROM registry.example/base
