FROM registry.example/nginx
FROM scratch AS registry.example/nginx
FROM 0
