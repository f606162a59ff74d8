// Order matters: the first entry whose words all stand in one line of the output wins, the last line being
// looked at first. Effects of the recipes: docs/pods.md.
#include "buildah/run_hint.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <ranges>
#include <string_view>

namespace slipway::buildah {

namespace {

struct Known {
    std::string_view words; ///< lower case
    std::string_view also;  ///< on the same line; empty = nothing more
    std::string_view hint;
};

constexpr std::string_view no_mount =
    "a RUN cannot mount in an unprivileged pod: use RUN --mount=type=bind, cache or tmpfs";
constexpr std::string_view no_raw =
    "a RUN has no raw sockets in an unprivileged pod: test with TCP (curl, nc) instead of ping";
constexpr std::string_view no_low_port =
    "a RUN cannot listen below port 1024 in an unprivileged pod: use a higher port";
constexpr std::string_view no_namespace = "a RUN cannot make namespaces in an unprivileged pod";
constexpr std::string_view no_kernel =
    "a RUN cannot change the kernel's settings; set them where the image runs";
constexpr std::string_view no_daemon =
    "no Docker daemon runs in a RUN: build the inner image in a build of its own, or in another stage";
constexpr std::string_view no_device =
    "a RUN cannot make device nodes in an unprivileged pod; leave them to whoever runs the image";
constexpr std::string_view no_limit =
    "a RUN cannot raise its limits above the pod's: leave ulimit out or lower it";
constexpr std::string_view no_sandbox =
    R"(apt cannot change to its own user here: RUN echo 'APT::Sandbox::User "root";' >/etc/apt/apt.conf.d/sandbox)";
constexpr std::string_view no_owner =
    "that owner is not among the user ids of this pod: use ids below 65536, or tar --no-same-owner";
constexpr std::string_view no_name =
    "the name could not be resolved from inside the build: check the pod's DNS, proxies and --hermetic";
constexpr std::string_view no_route =
    "the server could not be reached from inside the build: check network policy and proxies";
constexpr std::string_view no_authority =
    "the image does not know the authority of that server: COPY its certificate into the image first";
constexpr std::string_view other_processor =
    "a program for another processor: check --platform and the base image, or cross-compile on this one";
constexpr std::string_view windows_lines =
    "the script has Windows line ends: save it with LF, or add .gitattributes with eol=lf";
constexpr std::string_view no_memory =
    "the command ran out of memory: raise the container's limit, or let it do less at once (make -j)";
constexpr std::string_view no_disk =
    "the build's volume is full: give it more space, or remove what the command leaves behind";
constexpr std::string_view stale_index =
    "package index and mirror differ: run apt-get update and install in one RUN";

constexpr std::array known{
    Known{"socktype: sock_raw", "", no_raw},
    Known{"ping: ", "operation not permitted", no_raw},
    Known{"ping: ", "permission denied", no_raw},
    Known{"raw socket", "permitted", no_raw},
    Known{"mount: ", "permission denied", no_mount},
    Known{"mount: ", "operation not permitted", no_mount},
    Known{"mount: ", "must be superuser", no_mount},
    Known{"mount: ", "only root", no_mount},
    Known{"fuse: ", "/dev/fuse", no_mount},
    Known{"losetup: ", "", no_mount},
    Known{"setgroups ", "failed", no_sandbox},
    Known{"seteuid ", "failed", no_sandbox},
    Known{"e: setres", "failed", no_sandbox},
    Known{"unshare: ", "operation not permitted", no_namespace},
    Known{"unshare failed", "", no_namespace},
    Known{"bwrap: ", "", no_namespace},
    Known{"no usable sandbox", "", "start the browser with --no-sandbox: a RUN cannot make namespaces"},
    Known{"bind", "permission denied", no_low_port},
    Known{"listen eacces", "", no_low_port},
    Known{"bind() to ", "(13: ", no_low_port},
    Known{"mknod: ", "operation not permitted", no_device},
    Known{"sysctl: ", "", no_kernel},
    Known{"/proc/sys/", "read-only file system", no_kernel},
    Known{"/proc/sys/", "permission denied", no_kernel},
    Known{"modprobe: ", "", no_kernel},
    Known{"iptables", "permission denied", no_kernel},
    Known{"hostname: ", "must be root", "a RUN cannot set the host name"},
    Known{"sethostname", "", "a RUN cannot set the host name"},
    Known{"ulimit: ", "", no_limit},
    Known{"setrlimit", "operation not permitted", no_limit},
    Known{"docker daemon", "", no_daemon},
    Known{"/var/run/docker.sock", "", no_daemon},
    Known{"failed to connect to bus", "", "no systemd runs in a RUN: systemctl enable works, start does not"},
    Known{"system has not been booted with systemd", "",
          "no systemd runs in a RUN: systemctl enable works, start does not"},
    Known{"changing ownership of", "invalid argument", no_owner},
    Known{"changing ownership of", "operation not permitted", no_owner},
    Known{"cannot change ownership to uid", "", no_owner},
    Known{"exec format error", "", other_processor},
    Known{"bad interpreter", "^m", windows_lines},
    Known{"\\r': command not found", "", windows_lines},
    Known{"\r: not found", "", windows_lines},
    Known{"killed signal terminated program", "", no_memory},
    Known{"cannot allocate memory", "", no_memory},
    Known{"virtual memory exhausted", "", no_memory},
    Known{"javascript heap out of memory", "", no_memory},
    Known{"java.lang.outofmemoryerror", "", no_memory},
    Known{"no space left on device", "", no_disk},
    Known{"disk quota exceeded", "", no_disk},
    Known{"temporary failure resolving", "", no_name},
    Known{"temporary failure in name resolution", "", no_name},
    Known{"could not resolve", "", no_name},
    Known{"name or service not known", "", no_name},
    Known{"getaddrinfo ", "", no_name},
    Known{"no such host", "", no_name},
    Known{"unable to get local issuer certificate", "", no_authority},
    Known{"self-signed certificate", "", no_authority},
    Known{"self signed certificate", "", no_authority},
    Known{"certificate verify failed", "", no_authority},
    Known{"x509: certificate signed by unknown authority", "", no_authority},
    Known{"connection refused", "", no_route},
    Known{"connection timed out", "", no_route},
    Known{"network is unreachable", "", no_route},
    Known{"hash sum mismatch", "", stale_index},
    Known{"unable to locate package", "", "check the package's name, and run apt-get update in the same RUN"},
    Known{"has no installation candidate", "",
          "check the package's name, and run apt-get update in the same RUN"},
};

} // namespace

std::string run_hint(int status, const std::vector<std::string>& output) {
    for (const std::string& original : output | std::views::reverse) {
        std::string line = original;
        std::ranges::transform(line, line.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto* found = std::ranges::find_if(known, [&](const Known& entry) {
            return line.contains(entry.words) && line.contains(entry.also);
        });
        if (found != known.end()) {
            return std::string(found->hint);
        }
    }
    switch (status) {
    case 126: return "126 usually means: found, but not executable";
    case 127: return "127 usually means: command not found in the image";
    default: return {};
    }
}

} // namespace slipway::buildah
