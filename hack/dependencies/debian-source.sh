# shellcheck shell=sh
# Sourced by the scripts beside it: `debian_source PACKAGE VERSION TOOL...` unpacks a Debian source package into a
# new directory, goes into it, and installs what building it takes besides dpkg-dev. `debian_source_done` cleans up.
# Runs inside the image's dependencies stage, as root; needs Debian's mirror and nothing else.

debian_source() {
    package=$1 version=$2
    shift 2
    work=$(mktemp -d)
    cd "$work"
    # deb-src beside whatever sources the base image was made with.
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/source.sources
    else
        sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dpkg-dev "$@"
    apt-get source -qq "$package=$version"
    cd "$package"-*/
}

debian_source_done() {
    cd /
    rm -rf "$work" /var/lib/apt/lists/*
}
