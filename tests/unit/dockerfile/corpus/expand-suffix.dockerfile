FROM registry.example/base
ARG V=1.2.3 P=/a/b/c.tar.gz
ENV A=${V%.*} B=${V%%.*} C=${P%/*} D=${P%.gz} E=${P%%.*} F=${V%1.2.3}
