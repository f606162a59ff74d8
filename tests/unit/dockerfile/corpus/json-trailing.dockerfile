FROM scratch
CMD ["a"] b
RUN ["a", 'b']
