FROM x
RUN make
