FROM registry.example/base
VOLUME /a b
VOLUME ["/c", "/d"]
VOLUME "/e"
ENV V=/f
VOLUME $V
