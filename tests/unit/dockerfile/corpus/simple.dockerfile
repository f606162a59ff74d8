FROM registry.example/app:1
RUN make
CMD ["/app"]
