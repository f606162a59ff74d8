# check=skip=all;error=true
FROM registry.example/base
