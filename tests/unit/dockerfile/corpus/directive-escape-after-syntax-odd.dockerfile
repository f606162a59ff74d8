# syntax=x
# escape=zz
FROM registry.example/base
