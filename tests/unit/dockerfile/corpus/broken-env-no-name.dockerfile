FROM x
ENV =x
