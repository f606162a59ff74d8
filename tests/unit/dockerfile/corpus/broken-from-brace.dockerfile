FROM x:${V
