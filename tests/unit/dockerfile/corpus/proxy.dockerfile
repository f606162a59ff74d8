FROM scratch
ENV P=$HTTPS_PROXY N=$no_proxy
