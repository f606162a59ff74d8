ARG B
FROM $B AS broken
FROM scratch
