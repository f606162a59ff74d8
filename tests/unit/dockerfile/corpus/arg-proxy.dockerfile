FROM registry.example/base
ENV E=[$HTTP_PROXY][$no_proxy][$ALL_PROXY]
