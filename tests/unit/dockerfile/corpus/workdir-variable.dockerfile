FROM registry.example/base
ENV H=/home
WORKDIR $H/${U:-u}
