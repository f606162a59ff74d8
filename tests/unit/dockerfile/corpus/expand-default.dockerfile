FROM registry.example/base
ARG S=set E=
ENV A=${S:-d}${E:-d}${U:-d} B=${S:+p}${E:+p}${U:+p}
