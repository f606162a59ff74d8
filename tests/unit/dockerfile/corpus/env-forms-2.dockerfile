FROM registry.example/base
ENV A=1 B=two\ words C="a'b" D='c"d' E=a"b c"d
ENV F=$A$B G=${A}x H=\$A I="\$A" J='\$A'
ENV K=a=b=c
ENV "L"=1
