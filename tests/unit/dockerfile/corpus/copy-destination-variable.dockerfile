FROM registry.example/base
ENV D=/d
COPY f ${D}/
