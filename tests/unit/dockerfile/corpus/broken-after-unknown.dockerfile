FROM --after=no x
