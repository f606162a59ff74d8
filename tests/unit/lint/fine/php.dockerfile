FROM composer:2 AS vendor
WORKDIR /app
COPY composer.json composer.lock ./
RUN composer install --no-dev --no-scripts --prefer-dist

FROM php:8.4-fpm-alpine
RUN apk add --no-cache --virtual .build-deps $PHPIZE_DEPS linux-headers \
    && docker-php-ext-install pdo_mysql opcache \
    && pecl install redis && docker-php-ext-enable redis \
    && apk del .build-deps \
    && (id www-data || adduser -S www-data)
COPY --from=vendor /app/vendor ./vendor
COPY --chown=www-data . .
RUN find . -type d -print0 | xargs -0 chmod 755
EXPOSE 9000
