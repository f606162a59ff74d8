from alpine:3.22 as base
run apk add --no-cache tini && mkdir -p /srv/app
workdir /srv/app
onbuild copy . .
onbuild run ./prepare.sh --mount /data
entrypoint ["tini", "--"]
