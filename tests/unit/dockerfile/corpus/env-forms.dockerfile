FROM scratch
ENV A=1 B="x y" C='$A' D=a\ b E=
ENV OLD some $A "value"
ENV P=/bin:$P Q=${A:-n}${Z:-d}
LABEL "quoted.key"="v" k=$B
