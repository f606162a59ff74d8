FROM registry.example/base
WORKDIR wa
WORKDIR b/../c
WORKDIR /x/./y/
WORKDIR "/with blank"
WORKDIR ~
WORKDIR z//y/
