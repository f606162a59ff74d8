# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run:
#
#   . "$(dirname "$0")/lib.sh"
#
# Sets `top` (the repository). Everything that depends on the machine is found out by trying it: which
# options podman needs to run and to build, which base image can be had. What was found is kept in
# build/.host (remove it to try again).
#
# Environment: BASE_IMAGE (use this base and ask nothing), SLIPWAY_NO_INSTALL=1 (never call apt-get).

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly top
readonly dev_image=localhost/slipway-dev
readonly base_image_local=localhost/slipway-base:trixie
readonly base_image_remote=docker.io/library/debian:trixie-slim
# For the callers.
# shellcheck disable=SC2034
readonly runtime_image=localhost/slipway:dev test_image=localhost/slipway-test:dev
host_dir=$top/build/.host

say() { printf '%s\n' "hack/${0##*/}: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# usage: prints the comment block at the top of the calling script, then leaves.
usage() {
    sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$0"
    exit 0
}

is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND...: every command must be there; on Debian as root what is missing is installed.
need() {
    local missing=() command
    for command in "$@"; do
        has "$command" || missing+=("$command")
    done
    [ ${#missing[@]} = 0 ] && return
    local debian=() fedora=()
    for command in "${missing[@]}"; do
        case $command in
        podman)
            # Named one by one because recommended packages may be switched off on this machine.
            debian+=(podman crun runc buildah uidmap fuse-overlayfs netavark aardvark-dns slirp4netns ca-certificates)
            fedora+=(podman shadow-utils)
            ;;
        mmdebstrap) debian+=(mmdebstrap debian-archive-keyring) fedora+=(mmdebstrap debian-keyring) ;;
        python3) debian+=(python3) fedora+=(python3) ;;
        git) debian+=(git ca-certificates) fedora+=(git) ;;
        flock) debian+=(util-linux) fedora+=(util-linux) ;;
        *) debian+=("$command") fedora+=("$command") ;;
        esac
    done
    if is_root && has apt-get && [ -z "${SLIPWAY_NO_INSTALL:-}" ]; then
        say "installing: ${debian[*]}"
        local available=() package
        apt-get update -qq >/dev/null || die "apt-get update failed; is the Debian mirror reachable?"
        for package in "${debian[@]}"; do
            # A name that this release does not have is no reason to stop; the check below is.
            if apt-cache show "$package" 2>/dev/null | grep -q '^Package:'; then available+=("$package"); fi
        done
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${available[@]}" >/dev/null
        hash -r
        for command in "${missing[@]}"; do
            has "$command" || die "no package on this machine provides '$command'"
        done
        return
    fi
    say "missing here: ${missing[*]}. Install"
    say "    Debian, Ubuntu:  sudo apt-get install ${debian[*]}"
    say "    Fedora:          sudo dnf install ${fedora[*]}"
    exit 1
}

# need_podman: podman is there, and an ordinary user has what rootless podman needs.
need_podman() {
    need podman
    mkdir -p "$host_dir"
    if ! is_root && ! grep -q "^\($(id -un)\|$(id -u)\):" /etc/subuid 2>/dev/null; then
        say "$(id -un) has no subordinate ids, which rootless podman needs. Run once:"
        say "    sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
        say "    podman system migrate"
        exit 1
    fi
    # Where /dev/fuse is out of reach an older podman starts an ordinary user's storage as vfs, which copies whole
    # images per layer, although the kernel's overlay would do. Storage that is there already stays what it is.
    if ! is_root && [ -z "${STORAGE_DRIVER:-}" ]; then
        local storage=${XDG_DATA_HOME:-$HOME/.local/share}/containers/storage
        if [ -e "$storage/overlay-images" ]; then
            export STORAGE_DRIVER=overlay
        elif [ ! -e "$storage/libpod" ]; then
            if STORAGE_DRIVER=overlay podman info >/dev/null 2>&1; then
                export STORAGE_DRIVER=overlay
            else
                rm -rf "$storage"
            fi
        fi
    fi
    local why
    if ! why=$(podman info --format '{{.Host.Arch}}' 2>&1); then
        say "podman does not work here:"
        printf '%s\n' "$why" | tail -n 5 >&2
        exit 1
    fi
}

# remembered NAME: file that keeps a finding for this podman and this user.
remembered() { printf '%s/%s.%s.%s' "$host_dir" "$1" "$(id -u)" "$(podman --version | tr -dc '0-9.')"; }

# find_base: BASE_IMAGE becomes an image that is here: the caller's, the one made by hack/base-image, Debian's own
# from its registry, or, where no registry answers, one made now. Exported.
find_base() {
    if [ -z "${BASE_IMAGE:-}" ]; then
        if podman image exists "$base_image_local"; then
            BASE_IMAGE=$base_image_local
        elif podman image exists "$base_image_remote"; then
            BASE_IMAGE=$base_image_remote
        # The question is cheap, so it gets little time; the answer may take longer.
        elif timeout 10 podman manifest inspect "docker://$base_image_remote" >/dev/null 2>&1 \
            && timeout 300 podman pull -q "$base_image_remote" >/dev/null 2>&1; then
            BASE_IMAGE=$base_image_remote
        else
            say "no registry reachable: making the base image from Debian packages"
            "$top/hack/base-image"
            BASE_IMAGE=$base_image_local
        fi
    fi
    export BASE_IMAGE
}

# find_run_options: PODMAN_RUN becomes the options with which `podman run` works here. Plain where that works;
# some machines lack CAP_SYS_RESOURCE (no raised limits) or have cgroups that crun does not like.
find_run_options() {
    local file candidate image=$1
    file=$(remembered run)
    if [ -r "$file" ]; then
        read -ra PODMAN_RUN <"$file"
        return
    fi
    local limits
    limits="--ulimit nofile=$(limit -n) --ulimit nproc=$(limit -u)"
    for candidate in "" "$limits" "--runtime crun $limits" "--runtime runc" "--runtime runc $limits" \
        "--runtime runc --cgroups disabled $limits" "--runtime crun --cgroups disabled $limits"; do
        local options=()
        read -ra options <<<"$candidate" || true
        if timeout 60 podman run --rm --network host "${options[@]}" "$image" true >"$host_dir/run.log" 2>&1; then
            PODMAN_RUN=("${options[@]}")
            printf '%s\n' "$candidate" >"$file"
            [ -z "$candidate" ] || say "this machine's podman runs containers with: $candidate"
            return
        fi
    done
    say "podman cannot run a container here. Its last words:"
    tail -n 5 "$host_dir/run.log" >&2
    exit 1
}

# A limit both sides of which this user may set.
limit() {
    local hard
    hard=$(ulimit -H "$1")
    if [ "$hard" = unlimited ] || [ "$hard" -gt 4096 ]; then hard=4096; fi
    printf '%s:%s' "$hard" "$hard"
}

# find_build_options: PODMAN_BUILD becomes the options with which `podman build` works here.
find_build_options() {
    local file candidate image=$1
    file=$(remembered build)
    if [ -r "$file" ]; then
        read -ra PODMAN_BUILD <"$file"
        return
    fi
    for candidate in "--network host" "--network host --isolation chroot" "--network host --isolation rootless"; do
        local options=()
        read -ra options <<<"$candidate"
        if printf 'FROM %s\nRUN true\n' "$image" \
            | timeout 120 podman build -q --no-cache "${options[@]}" -f - "$host_dir" >"$host_dir/build.log" 2>&1; then
            podman rmi "$(tail -n 1 "$host_dir/build.log")" >/dev/null 2>&1 || true
            PODMAN_BUILD=("${options[@]}")
            printf '%s\n' "$candidate" >"$file"
            return
        fi
    done
    say "podman cannot build an image here. Its last words:"
    tail -n 5 "$host_dir/build.log" >&2
    exit 1
}

# ready: everything above, for scripts that run and build.
ready() {
    need_podman
    find_base
    find_run_options "$BASE_IMAGE"
    find_build_options "$BASE_IMAGE"
}

# podman_run OPTIONS... IMAGE COMMAND...: with what this machine needs. SELinux labels are off because the
# source is mounted, not copied.
# With `replace=exec` podman takes the script's place, so a signal to the script reaches the container.
podman_run() { ${replace:-} podman run --rm --security-opt label=disable "${PODMAN_RUN[@]}" "$@"; }

# stage TARGET TAG [OPTIONS...]: builds one stage of the Containerfile, quietly unless it fails. `compiler_cache` is
# the directory it may compile from, build/.ccache where it is not set.
stage() {
    local target=$1 tag=$2 log
    shift 2
    mkdir -p "$top/build/.ccache"
    log=$top/build/.host/stage-$target.log
    if [ -n "${SLIPWAY_VERBOSE:-}" ]; then log=/dev/stderr; fi
    if ! podman build "${PODMAN_BUILD[@]}" --build-arg "BASE_IMAGE=$BASE_IMAGE" --target "$target" --tag "$tag" \
        --volume "${compiler_cache:-$top/build/.ccache}:/ccache" --security-opt label=disable \
        -f "$top/Containerfile" "$@" "$top" >"$log" 2>&1; then
        [ "$log" = /dev/stderr ] || tail -n 40 "$log" >&2
        die "building the $target stage failed${log:+ (whole log: $log)}"
    fi
}

# one_at_a_time NAME: waits until no other script of this folder holds NAME; held until lock_fd is closed.
one_at_a_time() {
    need flock
    mkdir -p "$host_dir"
    exec {lock_fd}>"$host_dir/$1.lock"
    flock "$lock_fd"
}

# sum_of: one digest over the text on stdin.
sum_of() { sha256sum | cut -c1-16; }

# ensure_dev: the toolchain image is there and belongs to the Containerfile as it is now. Its tag is a digest of
# what it is made from, so going back and forth between commits costs nothing. Sets DEV_IMAGE.
ensure_dev() {
    DEV_IMAGE=$dev_image:$({
        sed '/^FROM dependencies AS build/,$d' "$top/Containerfile"
        cat "$top"/hack/dependencies/*
    } | sum_of)
    podman image exists "$DEV_IMAGE" && [ -z "${1:-}" ] && return
    ready
    one_at_a_time dev
    podman image exists "$DEV_IMAGE" && [ -z "${1:-}" ] && return
    say "building the toolchain image (minutes, once)"
    stage dependencies "$DEV_IMAGE" "$@"
    podman tag "$DEV_IMAGE" "$dev_image"
    exec {lock_fd}>&-
}

# dev OPTIONS... -- CMD...: CMD in the toolchain container, the source at /src. After ensure_dev and
# find_run_options. seccomp and SYS_PTRACE: gdb, sanitizers and the tests that unshare.
dev() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    mkdir -p "$top/build/.ccache"
    podman_run -i "${options[@]}" --network host --security-opt seccomp=unconfined --cap-add SYS_PTRACE \
        --volume "$top:/src" --workdir /src \
        --env CCACHE_DIR=/src/build/.ccache --env SLIPWAY_COMPILER_LAUNCHER=ccache \
        --env CCACHE_SLOPPINESS=pch_defines,time_macros \
        --env GIT_CONFIG_COUNT=1 --env GIT_CONFIG_KEY_0=safe.directory --env 'GIT_CONFIG_VALUE_0=*' \
        "$DEV_IMAGE" "$@"
}

# compilers: compilers at once; each may take a gigabyte.
compilers() {
    local cores memory
    cores=$(nproc)
    memory=$(awk '/^MemAvailable/ {print int($2 / 1000000)}' /proc/meminfo)
    echo $((memory < cores ? (memory > 0 ? memory : 1) : cores))
}

version_of() { sed -n 's/^project(slipway VERSION \([0-9.]*\).*/\1/p' "$top/CMakeLists.txt"; }

# commit_of: the commit the tree stands on, with -dirty where it differs.
commit_of() {
    local commit
    commit=$(git -C "$top" -c safe.directory='*' rev-parse HEAD 2>/dev/null) || {
        printf 'unknown'
        return
    }
    if [ -n "$(git -C "$top" -c safe.directory='*' status --porcelain 2>/dev/null)" ]; then commit+=-dirty; fi
    printf '%s' "$commit"
}
