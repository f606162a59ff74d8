FROM x
ENV A="x
