#ESCAPE = `
FROM registry.example/base
RUN a `
 b
