FROM registry.example/base
CMD a
CMD ["b"]
ENTRYPOINT ["e"]
