# escape= 
FROM registry.example/base
