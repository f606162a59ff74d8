FROM registry.example/base
CMD ["a"]
ENTRYPOINT ["b"]
CMD []
ENTRYPOINT []
