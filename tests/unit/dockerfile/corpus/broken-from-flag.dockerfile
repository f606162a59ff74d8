FROM --plattform=linux/amd64 x
