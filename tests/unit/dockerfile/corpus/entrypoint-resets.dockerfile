FROM scratch AS a
CMD ["inherited"]
FROM a
ENTRYPOINT ["e"]
