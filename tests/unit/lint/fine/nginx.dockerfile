ARG NGINX=1.29-alpine
FROM nginx:${NGINX}
ARG UID=101
ARG GID=101
RUN rm /etc/nginx/conf.d/default.conf \
 && sed -i 's,listen       80;,listen       8080;,' /etc/nginx/nginx.conf \
 && ln -sf /dev/stdout /var/log/nginx/access.log \
 && chown -R $UID:0 /var/cache/nginx && chmod -R g+w /var/cache/nginx
COPY nginx.conf /etc/nginx/conf.d/
USER $UID
EXPOSE 8080
CMD ["nginx", "-g", "daemon off;"]
