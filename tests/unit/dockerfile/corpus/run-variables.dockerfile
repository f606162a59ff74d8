FROM registry.example/base
ARG A=1
RUN echo $A ${B:-x} ${C^^}
