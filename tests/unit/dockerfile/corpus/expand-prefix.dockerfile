FROM registry.example/base
ARG V=v1.2.3 P=/a/b/c.tar.gz
ENV A=${V#v} B=${V##*.} C=${P##*/} D=${P#*/} E=${V#x} F=${V#v1.2.3} G=${V##*}
