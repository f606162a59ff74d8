# shellcheck shell=sh
# Sourced by the scripts beside it: `debian_source PACKAGE VERSION TOOL...` unpacks a Debian source package into a
# directory of its own, goes into it, and installs what building it takes besides dpkg-dev. `debian_source_done` cleans up.
# Runs inside the image's dependencies stages, as root; needs Debian's mirror and nothing else.
#
# Version and copyright stay in /usr/local/share/slipway/parts/PACKAGE, for the image's notices. With
# SLIPWAY_CROSS=arm64 a TOOL that ends in "-dev" is that architecture's, and $cross are cmake's options for it.

cross='' tool_suffix=''
if [ "${SLIPWAY_CROSS:-}" = arm64 ]; then
    cross="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc
        -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_INSTALL_LIBDIR=lib/aarch64-linux-gnu"
    tool_suffix=:arm64
fi

debian_source() {
    package=$1 version=$2
    shift 2
    # Always the same: the name of a source file, which assertions and errors hold, becomes part of the binary.
    work=/usr/src/slipway/$package
    rm -rf "$work"
    mkdir -p "$work"
    cd "$work"
    # deb-src beside whatever sources the base image was made with.
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/source.sources
    else
        sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
    fi
    tools=dpkg-dev
    for tool; do
        case $tool in
        *-dev) tools="$tools $tool$tool_suffix" ;;
        *) tools="$tools $tool" ;;
        esac
    done
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $tools
    apt-get source -qq "$package=$version"
    cd "$package"-*/
    install -D -m 0644 debian/copyright "/usr/local/share/slipway/parts/$package/copyright"
    printf '%s\n' "$version" >"/usr/local/share/slipway/parts/$package/version"
}

debian_source_done() {
    cd /
    rm -rf "$work" /var/lib/apt/lists/*
}
