FROM scratch AS a
FROM --after=a scratch
