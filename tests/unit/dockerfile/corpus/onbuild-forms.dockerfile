FROM registry.example/base
ONBUILD RUN a
onbuild copy f /f
ONBUILD  ENV A=1
ONBUILD CMD ["x"]
