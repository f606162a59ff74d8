FROM x
LABEL a=b \
   c=${D^^}
