FROM registry.example/base
ONBUILD MAINTAINER x
