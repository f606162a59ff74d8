# escape=x
FROM registry.example/base
