// Failure texts of buildah 1.39.3, each provoked once (docs/pods.md says how). Order matters: the first match
// wins.
#include "base/encoding.hpp"
#include "buildah/lines.hpp"
#include "buildah/run_hint.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <csignal>
#include <format>

namespace slipway::buildah {

namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

/// From the last "Error: " to the end; without one, everything.
std::string error_text(const std::vector<std::string>& tail) {
    auto first = tail.begin();
    for (auto line = tail.begin(); line != tail.end(); ++line) {
        if (line->starts_with("Error: ")) {
            first = line;
        }
    }
    std::string text;
    for (auto line = first; line != tail.end(); ++line) {
        text += (text.empty() ? "" : "\n") + *line;
    }
    if (text.starts_with("Error: ")) {
        text.erase(0, 7);
    }
    return text;
}

/// Takes the Dockerfile's own words out: they may contain anything, also what looks like an error.
struct Split {
    bool at_step = false;
    std::string step;
    std::string rest;
};

Split split_step(std::string_view text, std::string_view step) {
    constexpr std::string_view start = "building at STEP \"";
    const std::size_t at = text.find(start);
    if (at == std::string_view::npos) {
        return {false, {}, std::string(text)};
    }
    const std::string_view after = text.substr(at + start.size());
    std::size_t end = std::string_view::npos;
    if (!step.empty() && after.starts_with(step) && after.substr(step.size()).starts_with("\": ")) {
        end = step.size();
    } else {
        end = after.find("\": ");
    }
    if (end == std::string_view::npos) {
        return {true, {}, std::string(after)};
    }
    return {true, std::string(after.substr(0, end)), std::string(after.substr(end + 3))};
}

std::optional<int> exit_status_of(std::string_view rest) {
    for (const std::string_view prefix : {"while running runtime: ", "exit status "}) {
        if (rest.starts_with(prefix)) {
            rest.remove_prefix(prefix.size());
        }
    }
    int status = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), status);
    if (error != std::errc{} || end != rest.data() + rest.size() || status < 1 || status > 255) {
        return std::nullopt;
    }
    return status;
}

struct Pattern {
    std::string_view text; ///< lower case
    ErrorClass klass;
    std::string_view code;
    std::string_view message;
    std::string_view hint;
    bool transient = false;
};

using enum ErrorClass;
constexpr std::string_view doctor =
    "`slipway doctor` in the same pod shows what it allows and the change that would help";

constexpr Pattern pod_patterns[] = {
    {"slipway: cannot execute ", pod, code::build_run_error, "buildah cannot be executed",
     "use an image that has it, or put its directory on PATH"},
    {"slipway: cannot prepare the build's namespace: ", pod, code::pod_forbids,
     "this pod does not let the build's namespace be prepared", doctor},
    {"error during unshare(clone_newuser): no space left on device", pod, code::pod_forbids,
     "this node allows no more user namespaces", "raise user.max_user_namespaces on the node"},
    {"error during unshare(", pod, code::pod_forbids, "this pod may not create a user namespace", doctor},
    {"uid_map: operation not permitted", pod, code::pod_forbids, "this pod may not map user ids", doctor},
    {"gid_map: operation not permitted", pod, code::pod_forbids, "this pod may not map group ids", doctor},
    {"write to uid_map failed", pod, code::pod_forbids, "newuidmap may not map user ids in this pod", doctor},
    {"write to gid_map failed", pod, code::pod_forbids, "newgidmap may not map group ids in this pod",
     doctor},
    {"finding newuidmap", pod, code::pod_forbids, "newuidmap is missing in this container", doctor},
    {"error during setresuid(0)", pod, code::pod_forbids, "the user namespace has no mapping", doctor},
    {"potentially insufficient uids or gids", pod, code::pod_forbids,
     "this pod has too few user ids to unpack the image", doctor},
    {"error setting supplemental groups list", pod, code::pod_forbids,
     "this pod may not set groups, so no RUN can start", doctor},
    {"error setting capabilities for process", pod, code::pod_forbids,
     "a RUN was to have capabilities this pod does not have", doctor},
    {"error stat()ing intended root directory", pod, code::pod_forbids,
     "the root file system is read-only, so no RUN can start",
     "set readOnlyRootFilesystem: false for the build step"},
    {"netavark.lock: read-only file system", pod, code::pod_forbids,
     "the root file system is read-only, so buildah cannot build",
     "set readOnlyRootFilesystem: false for the build step"},
    {"failed to get default container config", pod, code::pod_forbids,
     "buildah's helper has no usable home directory or /tmp", doctor},
    {"after fallback to chroot: operation not permitted", pod, code::pod_forbids,
     "this pod may not call chroot", doctor},
    {"unpacking failed (error: exit status 1; output: operation not permitted", pod, code::pod_forbids,
     "this pod may not unpack the base image, most likely for its device nodes",
     "add the capability MKNOD to the step, or set hostUsers: false, where nobody asks for it"},
    {"creating new mount namespace", pod, code::pod_forbids, "this pod may not create a mount namespace",
     doctor},
    {"making mounts private", pod, code::pod_forbids, "this pod may not mount", doctor},
    {"remount /, flags: 0x44000: operation not permitted", pod, code::pod_forbids, "this pod may not mount",
     doctor},
    {"flags: 0x1000: operation not permitted", pod, code::pod_forbids, "this pod may not mount", doctor},
    {"mounting \"proc\" to rootfs", pod, code::pod_forbids,
     "this pod may not mount proc: OCI isolation cannot work here", doctor},
    {"mount `proc` to `proc`", pod, code::pod_forbids,
     "this pod may not mount proc: OCI isolation cannot work here", doctor},
    {"create keyring `buildah-", pod, code::pod_forbids,
     "this pod may not make keyrings: OCI isolation cannot work here",
     "use --isolation=chroot, or a seccomp profile that allows keyctl"},
    {"cgroups in hybrid mode not supported", pod, code::pod_forbids,
     "this node has cgroups of both versions, which crun refuses: OCI isolation cannot work here",
     "use --isolation=chroot"},
    {"]: clone: operation not permitted", pod, code::pod_forbids,
     "this pod may not make namespaces by clone: OCI isolation cannot work here",
     "use --isolation=chroot, or a seccomp profile that lets clone make namespaces"},
    {"]: sethostname: operation not permitted", pod, code::pod_forbids,
     "this pod may not set a host name: OCI isolation cannot work here",
     "use --isolation=chroot, or a seccomp profile that allows sethostname"},
    {"creating cgroup directory", pod, code::pod_forbids,
     "this pod may not make cgroups: OCI isolation cannot work here", doctor},
    {"is not supported over overlayfs", pod, code::pod_forbids,
     "the storage directory lies on an overlay file system",
     "put it on a volume (emptyDir), or choose --storage=vfs"},
    {"backing file system is unsupported", pod, code::pod_forbids,
     "the storage directory's file system cannot hold overlay layers",
     "put it on an emptyDir, or choose --storage=vfs"},
    {"fuse: device not found", pod, code::pod_forbids, "/dev/fuse is not usable in this pod",
     "choose --storage=vfs or an emptyDir for native overlay"},
    {"fuse: mount failed", pod, code::pod_forbids, "fuse file systems cannot be mounted in this pod",
     "choose --storage=vfs or an emptyDir for native overlay"},
    {"cannot mount: ", pod, code::pod_forbids, "the storage driver cannot mount in this pod", doctor},
    // The kernel's EBUSY while somebody still looks at the pages; buildah does not try again.
    {"sealing memfd copy", internal, code::internal_error,
     "the node was too busy for buildah's helper to start", "try again", true},
    {"cannot parse ssh key", usage, code::missing_or_invalid_argument,
     "--ssh names a file that is no private key",
     "give a private key without passphrase, or an agent's socket"},
    {"could not find \"netavark\"", internal, code::internal_error,
     "buildah found no netavark nor its stand-in", "report this as a bug of the image"},
};

constexpr Pattern registry_patterns[] = {
    {"toomanyrequests", registry, code::cannot_pull_base_image,
     "the registry limits how often it may be asked",
     "log in to the registry, use a mirror, or try again later", true},
    {"rate limit", registry, code::cannot_pull_base_image, "the registry limits how often it may be asked",
     "log in to the registry, use a mirror, or try again later", true},
    {"unexpected http status: 5", registry, code::cannot_pull_base_image,
     "the registry answered with a server error", "try again later", true},
    {"no image found in image index for architecture", build, code::cannot_pull_base_image,
     "the base image does not exist for the platform wanted",
     "choose another base image or another --platform"},
    {"no image found in manifest list for architecture", build, code::cannot_pull_base_image,
     "the base image does not exist for the platform wanted",
     "choose another base image or another --platform"},
    {"manifest unknown", build, code::cannot_pull_base_image, "the base image does not exist",
     "check its name and tag in the Dockerfile"},
    {"blob unknown", registry, code::cannot_pull_base_image, "the registry lacks a part of the base image",
     "push the base image again, or choose another"},
    {"name unknown", build, code::cannot_pull_base_image, "the base image's repository does not exist",
     "check its name in the Dockerfile"},
    {"invalid reference format", build, code::cannot_pull_base_image,
     "the base image's name is not a valid reference", "check its name in the Dockerfile"},
    {"unauthorized", auth, code::registry_auth, "the registry wants credentials for the base image",
     "give credentials for this registry in --authfile"},
    {"authentication required", auth, code::registry_auth,
     "the registry wants credentials for the base image", "give credentials for this registry in --authfile"},
    {"invalid username/password", auth, code::registry_auth, "the registry refused the credentials",
     "check the entry for this registry in --authfile"},
    {": denied", auth, code::registry_auth, "the registry denied access to the base image",
     "check that the image exists and that the credentials in --authfile may read it"},
    {"access to the resource is denied", auth, code::registry_auth,
     "the registry denied access to the base image",
     "check that the image exists and that the credentials in --authfile may read it"},
    {"403 forbidden", auth, code::registry_auth, "the registry denied access to the base image",
     "check that the credentials in --authfile may read it"},
    {"x509: ", network, code::network, "the registry's certificate is not trusted",
     "give the certificate authority by --ca-file"},
    {"first record does not look like a tls handshake", network, code::network,
     "the registry does not speak TLS", "--tls-verify=false allows plain HTTP"},
    {"server gave http response to https client", network, code::network, "the registry does not speak TLS",
     "--tls-verify=false allows plain HTTP"},
    {"digest did not match", registry, code::cannot_pull_base_image,
     "the registry sent something else than what its digest says",
     "try again; if it stays, the registry or a proxy is broken", true},
    {"image not known", internal, code::cannot_pull_base_image,
     "an image the Dockerfile names was not pulled before the build",
     "report this with the Dockerfile's FROM, COPY --from and --mount=from lines"},
};

constexpr Pattern network_patterns[] = {
    {"no such host", network, code::network, "a host name could not be resolved",
     "check the name and the pod's DNS"},
    {"server misbehaving", network, code::network, "the name server did not answer properly",
     "try again later", true},
    {"temporary failure in name resolution", network, code::network, "the name server did not answer",
     "try again later", true},
    {"connection refused", network, code::network, "a server refused the connection",
     "check the address, the network policy and proxies", true},
    {"connection reset", network, code::network, "a connection was reset", "try again", true},
    {"broken pipe", network, code::network, "a connection broke off", "try again", true},
    {"i/o timeout", network, code::network, "a server did not answer in time",
     "check the network policy and proxies", true},
    {"tls handshake timeout", network, code::network, "a server did not answer in time",
     "check the network policy and proxies", true},
    {"deadline exceeded", network, code::network, "a server did not answer in time",
     "check the network policy and proxies", true},
    {"no route to host", network, code::network, "there is no route to a server",
     "check the network policy and proxies", true},
    {"network is unreachable", network, code::network, "the network is unreachable",
     "check the network policy and proxies", true},
    {"\": eof", network, code::network, "a connection broke off", "try again", true},
    {"unexpected eof", network, code::network, "a connection broke off", "try again", true},
};

constexpr Pattern dockerfile_patterns[] = {
    {"no stage or image found with that name", build, code::dockerfile_issue,
     "a stage or image the Dockerfile names does not exist", "check --from=… against the names after AS"},
    {"unknown instruction", build, code::dockerfile_issue, "the Dockerfile has an unknown instruction", ""},
    {"no from statement found", build, code::dockerfile_issue, "the Dockerfile has no FROM",
     "begin it with FROM <image>"},
    {"from requires either one argument", build, code::dockerfile_issue, "a FROM is malformed",
     "write FROM <image> [AS <name>]"},
    {"no contents in", build, code::dockerfile_issue, "the Dockerfile is empty", ""},
    {"was not found in the provided dockerfile", build, code::dockerfile_issue,
     "the target stage does not exist", "check --target against the names after AS"},
    {"parsing main dockerfile", build, code::dockerfile_issue, "the Dockerfile cannot be parsed", ""},
    {"while replacing arg variables", build, code::dockerfile_issue, "a variable in FROM cannot be replaced",
     "check the ${…} in FROM"},
    {"unknown user error", build, code::dockerfile_issue,
     "a user the Dockerfile names does not exist in the image", "create it first, or use a number"},
    {"unknown group error", build, code::dockerfile_issue,
     "a group the Dockerfile names does not exist in the image", "create it first, or use a number"},
    {"error parsing chmod", build, code::dockerfile_issue, "--chmod is not an octal mode",
     "write it like --chmod=755"},
    {"possible escaping context directory", build, code::context_issue,
     "a source lies outside the build context", "sources are relative to the context directory"},
    {"invalid response status", build, code::build_error, "a file ADD was to fetch is not there",
     "check the URL"},
    {"secret required but no secret", usage, code::missing_or_invalid_argument,
     "a RUN needs a secret that was not given", "give it by --secret id=…,src=…"},
    {"ssh required but no ssh", usage, code::missing_or_invalid_argument,
     "a RUN needs an ssh key that was not given", "give it by --ssh"},
    {"could not parse secrets", usage, code::missing_or_invalid_argument, "a secret's file cannot be read",
     "check the path of --secret"},
    {"credential file is not accessible", usage, code::missing_or_invalid_argument,
     "the credentials file cannot be read", "check the path of --authfile"},
    {"unknown flag", internal, code::internal_error, "this buildah does not know an option it was given",
     "report this with the output of `slipway version`"},
    {"unknown shorthand flag", internal, code::internal_error,
     "this buildah does not know an option it was given", "report this with the output of `slipway version`"},
};

template <std::size_t N> const Pattern* match(const Pattern (&patterns)[N], std::string_view text) {
    const auto* found =
        std::ranges::find_if(patterns, [&](const Pattern& pattern) { return text.contains(pattern.text); });
    return found == std::end(patterns) ? nullptr : found;
}

Error from_pattern(const Pattern& pattern, std::string_view text) {
    Error error =
        make_error(pattern.klass, pattern.code, std::string(pattern.message), std::string(pattern.hint));
    error.cause = to_valid_utf8(text.substr(0, 2000));
    error.transient = pattern.transient;
    return error;
}

/// What is quoted after `prefix`: copier: stat: "/nofile": …
std::string quoted_after(std::string_view text, std::string_view prefix) {
    const std::size_t at = text.find(prefix);
    if (at == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = text.substr(at + prefix.size());
    return one_line(rest.substr(0, rest.find('"')), 200);
}

Error out_of_disk(std::string_view text) {
    return from_pattern({{},
                         resource,
                         code::out_of_disk,
                         "the storage volume is full",
                         "give the build's volume more space (or inodes)"},
                        text);
}

Error out_of_memory(std::string_view text) {
    return from_pattern({{},
                         resource,
                         code::out_of_memory,
                         "the build ran out of memory",
                         "raise the container's memory limit"},
                        text);
}

/// The helper's last words before buildah's: nothing a RUN printed long before counts.
std::string last_words(const std::vector<std::string>& lines) {
    std::string text;
    const std::size_t first = lines.size() > 4 ? lines.size() - 4 : 0;
    for (std::size_t i = first; i < lines.size(); ++i) {
        text += lines[i] + '\n';
    }
    return text;
}

constexpr std::string_view exited = "subprocess exited ";

/// What buildah's helper says of a command that ran: two lines at the very end, one of each of its processes.
/// A command that could not even be started has only the second, so nothing a command prints is taken for a
/// refusal by the pod. A last line of the command without newline stands before the first on the same line.
std::optional<std::string_view> verdict_on_command(const std::vector<std::string>& lines) {
    if (lines.size() < 2 || !lines.back().contains(exited)) {
        return std::nullopt;
    }
    const std::string_view inner = lines[lines.size() - 2];
    const std::size_t at = inner.rfind(exited);
    return at == std::string_view::npos ? std::nullopt : std::optional(inner.substr(at + exited.size()));
}

/// "killed", "segmentation fault": the signal that ended the command; empty = none did, or nobody says.
std::string signal_of(std::optional<std::string_view> verdict, std::string_view words, int status) {
    constexpr std::string_view on = "on ";
    std::string signal;
    if (verdict) {
        signal = verdict->starts_with(on) ? verdict->substr(on.size(), 40) : std::string_view();
    } else if (const auto at = words.rfind(exited); at != std::string_view::npos) {
        const std::string_view rest = words.substr(at + exited.size(), 40);
        signal = rest.starts_with(on) ? rest.substr(on.size()) : std::string_view();
    }
    signal = signal.substr(0, signal.find_first_of("\r\n"));
    return signal.empty() && status == 128 + SIGKILL ? "killed" : signal;
}

Error run_failed(const Ending& ending, const Split& split, int status) {
    const std::string words = last_words(ending.helper_tail);
    const std::string command = one_line(split.step.empty() ? "RUN" : split.step, 200);
    const auto verdict = verdict_on_command(ending.helper_tail);
    if (!verdict) {
        if (const Pattern* pattern = match(pod_patterns, lower(words))) {
            return from_pattern(*pattern, words);
        }
    }
    const std::string signal = signal_of(verdict, words, status);
    Error error = make_error(build, code::build_error, std::format("exit code {}: {}", status, command));
    error.cause = to_valid_utf8(std::string_view(split.rest).substr(0, 2000));
    if (signal.empty()) {
        error.child_exit = status;
    }
    if (ending.oom_killed) {
        // Also a command that failed because a process of its own was killed: a compiler under make, say.
        error.klass = resource;
        error.code = code::out_of_memory;
        error.message = std::format("out of memory while running: {}", command);
        error.hint = "raise the container's memory limit, or let the command do less at once (make -j)";
    } else if (signal == "killed") {
        error.message = std::format("killed by a signal: {}", command);
        error.hint = "often a lack of memory: watch what the command needs against the container's limit";
    } else if (!signal.empty()) {
        error.message = std::format("ended by a signal ({}): {}", signal, command);
        error.hint = "the command did not exit by itself: look at what it printed last";
    } else if (!verdict && words.contains("process failed to start with error")) {
        error.message = std::format("cannot be started: {}", command);
        error.hint = "check that the program exists in the image and may be executed";
        error.cause = to_valid_utf8(words);
    } else {
        error.hint = run_hint(status, ending.output);
    }
    return error;
}

} // namespace

Error classify_failure(const Ending& ending) {
    const std::string text = error_text(ending.tail);
    if (ending.signal != 0) {
        if (ending.signal == SIGKILL && ending.oom_killed) {
            return out_of_memory(text);
        }
        Error error = make_error(
            internal, code::internal_error, std::format("buildah was killed by signal {}", ending.signal),
            "a RUN can kill it under chroot isolation; so can the node when memory is short");
        error.cause = to_valid_utf8(std::string_view(text).substr(0, 2000));
        return error;
    }
    const Split split = split_step(text, ending.step);
    if (ending.verb == Verb::build && split.at_step) {
        if (const auto status = exit_status_of(split.rest)) {
            return run_failed(ending, split, *status);
        }
    }
    std::string everything;
    for (const std::string& line : ending.tail) {
        everything += line + '\n';
    }
    const std::string rest = lower(split.rest);
    // What the pod forbids is often said in a warning long before the final, misleading error.
    const Pattern* pattern = match(pod_patterns, rest);
    if (pattern == nullptr && !split.at_step) {
        pattern = match(pod_patterns, lower(everything));
    }
    if (pattern != nullptr) {
        return from_pattern(*pattern, pattern->klass == pod ? everything : text);
    }
    if (rest.contains("no space left on device") || rest.contains("disk quota exceeded")) {
        return out_of_disk(text);
    }
    if (split.at_step && rest.contains("copier: stat:") && !rest.contains("escaping") &&
        rest.contains("no such file or directory")) {
        const bool from = split.step.contains("--from=");
        Error error = make_error(
            build, from ? code::build_error : code::context_issue,
            std::format("{} does not contain {}", from ? "the stage or image" : "the build context",
                        quoted_after(split.rest, "copier: stat: \"")),
            from ? "check the path, and that the stage creates it" : "check the path and the ignore file");
        error.cause = to_valid_utf8(std::string_view(text).substr(0, 2000));
        return error;
    }
    if ((pattern = match(dockerfile_patterns, rest)) != nullptr) {
        Error error = from_pattern(*pattern, text);
        if (pattern->code == code::dockerfile_issue) {
            error.message += ": " + one_line(split.rest, 200);
        }
        return error;
    }
    if ((pattern = match(registry_patterns, rest)) != nullptr ||
        (pattern = match(network_patterns, rest)) != nullptr) {
        Error error = from_pattern(*pattern, text);
        if (ending.verb == Verb::push && error.code == code::cannot_pull_base_image) {
            error.code = code::push_issue;
        }
        return error;
    }
    Error error = make_error(split.at_step ? build : internal,
                             split.at_step ? code::build_error : code::internal_error, {});
    error.message =
        split.at_step  ? std::format("{}: {}", one_line(split.step, 120), one_line(split.rest, 200))
        : text.empty() ? std::format("buildah ended with status {} and said nothing", ending.exit_code)
                       : "buildah: " + one_line(text, 300);
    error.cause = to_valid_utf8(std::string_view(text).substr(0, 2000));
    return error;
}

} // namespace slipway::buildah
