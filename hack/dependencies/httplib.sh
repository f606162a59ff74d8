#!/bin/sh
# Puts cpp-httplib's whole header (VERSION: a Debian source package version) into /usr/local/include.
# Debian's own package splits it and keeps one half in a shared library, which a static binary cannot use.
set -eu
. "$(dirname "$0")/debian-source.sh"
debian_source cpp-httplib "$1"
install -m 0644 httplib.h /usr/local/include/httplib.h
debian_source_done
