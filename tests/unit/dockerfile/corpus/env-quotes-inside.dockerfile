FROM registry.example/base
ENV A='it'"'"'s' B="say \"hi\""
