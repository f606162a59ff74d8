FROM scratch
CMD echo hi
ENTRYPOINT exec top
CMD []
