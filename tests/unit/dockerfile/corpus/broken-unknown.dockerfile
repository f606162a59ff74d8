FROM x
  RNU make
