#!/bin/sh
# Builds libarchive (VERSION: a Debian source package version) as a static library into /usr/local: tar and zip, with
# the compressions sources come in. No ACLs, extended attributes or character set conversion: they are never unpacked.
set -eu
. "$(dirname "$0")/debian-source.sh"
debian_source libarchive "$1"
# shellcheck disable=SC2086,SC2154
cmake -S . -B build -G Ninja $cross \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS="-g1 -ffunction-sections -fdata-sections" \
    -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
    -DENABLE_ZLIB=ON -DENABLE_BZip2=ON -DENABLE_LZMA=ON -DENABLE_ZSTD=ON -DENABLE_OPENSSL=OFF \
    -DENABLE_NETTLE=OFF -DENABLE_MBEDTLS=OFF -DENABLE_LIBB2=OFF -DENABLE_LZ4=OFF -DENABLE_LZO=OFF \
    -DENABLE_LIBXML2=OFF -DENABLE_EXPAT=OFF -DENABLE_PCREPOSIX=OFF -DENABLE_PCRE2POSIX=OFF -DENABLE_LIBGCC=OFF \
    -DENABLE_ACL=OFF -DENABLE_XATTR=OFF -DENABLE_ICONV=OFF -DENABLE_CNG=OFF -DENABLE_WERROR=OFF \
    -DENABLE_TAR=OFF -DENABLE_CPIO=OFF -DENABLE_CAT=OFF -DENABLE_UNZIP=OFF -DENABLE_TEST=OFF
cmake --build build
cmake --install build
debian_source_done
