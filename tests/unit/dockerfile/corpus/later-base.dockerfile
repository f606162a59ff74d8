FROM nginx
FROM scratch AS nginx
FROM 0
