FROM registry.example/base
ADD --unpack=true f /f
