FROM registry.example/base
ARG V=a.b.c
ENV A=${V/./-} B=${V//./-} C=${V/x/y} D=${V//[ab]/z} E=${V/#a/z} F=${V/%c/z} G=${V/.} H=${V//?/q} I=${V//b.c/}
