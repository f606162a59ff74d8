FROM registry.example/base
CMD ["a"] b
RUN ["a", 'b']
