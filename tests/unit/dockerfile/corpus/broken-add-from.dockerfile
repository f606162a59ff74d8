FROM registry.example/base
ADD --from=registry.example/tools /bin/sh /x
