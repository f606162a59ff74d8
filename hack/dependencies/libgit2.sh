#!/bin/sh
# Builds libgit2 VERSION (a Debian source package version) as a static library into /usr/local.
# Runs inside the image's dependencies stage, as root; needs Debian's mirror and nothing else.
set -eu
version=$1
work=$(mktemp -d)
cd "$work"
# deb-src beside whatever sources the base image was made with.
if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/source.sources
else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dpkg-dev libllhttp-dev
apt-get source -qq "libgit2=$version"
cd libgit2-*/
ls deps
cmake -S . -B build -G Ninja \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS="-g1 -ffunction-sections -fdata-sections" \
    -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTS=OFF -DBUILD_CLI=OFF \
    -DUSE_HTTPS=OpenSSL -DUSE_SHA1=CollisionDetection -DUSE_SHA256=OpenSSL -DUSE_SSH=libssh2 \
    -DUSE_GSSAPI=OFF -DUSE_NTLMCLIENT=OFF -DREGEX_BACKEND=regcomp -DUSE_BUNDLED_ZLIB=OFF \
    -DUSE_HTTP_PARSER=llhttp -DUSE_ICONV=OFF
cmake --build build
cmake --install build
cd /
rm -rf "$work" /var/lib/apt/lists/*
