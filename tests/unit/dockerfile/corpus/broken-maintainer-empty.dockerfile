FROM registry.example/base
MAINTAINER
