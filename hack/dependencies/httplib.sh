#!/bin/sh
# Puts cpp-httplib's whole header (VERSION: a Debian source package version) into /usr/local/include.
# Debian's own package splits it and keeps one half in a shared library, which a static binary cannot use.
# Runs inside the image's dependencies stage, as root; needs Debian's mirror and nothing else.
set -eu
version=$1
work=$(mktemp -d)
cd "$work"
if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/source.sources
else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dpkg-dev
apt-get source -qq "cpp-httplib=$version"
install -m 0644 cpp-httplib-*/httplib.h /usr/local/include/httplib.h
cd /
rm -rf "$work" /var/lib/apt/lists/*
