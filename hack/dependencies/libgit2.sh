#!/bin/sh
# Builds libgit2 (VERSION: a Debian source package version) as a static library into /usr/local.
set -eu
. "$(dirname "$0")/debian-source.sh"
debian_source libgit2 "$1" libllhttp-dev
# shellcheck disable=SC2086,SC2154
cmake -S . -B build -G Ninja $cross \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS="-g1 -ffunction-sections -fdata-sections" \
    -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTS=OFF -DBUILD_CLI=OFF \
    -DUSE_HTTPS=OpenSSL -DUSE_SHA1=CollisionDetection -DUSE_SHA256=OpenSSL -DUSE_SSH=libssh2 \
    -DUSE_GSSAPI=OFF -DUSE_NTLMCLIENT=OFF -DREGEX_BACKEND=regcomp -DUSE_BUNDLED_ZLIB=OFF \
    -DUSE_HTTP_PARSER=llhttp -DUSE_ICONV=OFF
cmake --build build
cmake --install build
debian_source_done
