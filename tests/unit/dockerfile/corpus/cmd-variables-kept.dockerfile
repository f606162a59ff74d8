FROM registry.example/base
ENV A=1
CMD echo $A
ENTRYPOINT ["$A"]
HEALTHCHECK CMD test $A
