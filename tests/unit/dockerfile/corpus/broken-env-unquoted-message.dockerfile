FROM registry.example/base
ENV X=${U:?must be given}
