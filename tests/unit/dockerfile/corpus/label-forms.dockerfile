FROM registry.example/base
LABEL a b c
LABEL "d e"="f g" h='i j'
LABEL multi="one \
  two"
LABEL empty= k=""
