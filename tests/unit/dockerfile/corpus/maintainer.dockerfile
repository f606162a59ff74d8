FROM registry.example/base
MAINTAINER Some One <one@example.org>
MAINTAINER $X "y"
