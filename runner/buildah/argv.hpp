// buildah's command lines, made from typed values. Pure.
//
// Every value stands behind `--option=` or after `--`, so none can be taken for an option. Credentials never
// appear: they go by --authfile, --secret src=… and --ssh.
// Errors: usage/missingorinvalidargument for a value buildah would misread (NUL, a comma inside a list, …).
//
// Observed with buildah 1.39.3 (details: docs/pods.md):
// - A `--build-context` named like a *stage alias* replaces that stage too: with `FROM debian AS debian`, a
// later
//   `FROM debian` or `COPY --from=debian` silently gets the base image instead of the stage. Names are
//   compared with the text as written: `FROM debian:${V}` needs the name `debian:${V}`, the expanded one does
//   not match. So pinning by tag() is the better way: pull by digest, `buildah tag` the spelling as expanded
//   and fully qualified, build with --pull=never. It serves FROM, COPY --from and --mount=from, ARG in FROM
//   included.
// - `--pull=never` with `--platform` finds only a stored image of that platform ("image not known"
// otherwise), but
//   `pull --platform` of a digest that is one image of another platform succeeds with a mere warning.
// - `pull --retry=0` means "default" (3), so 1 is the least; on 429 each attempt takes some 30 s by itself.
// - Every --label becomes one more LABEL step at the end of the last stage (n of n+1); --annotation does not.
// - --iidfile silences the "--> id" lines and the final id on standard output; the file holds "sha256:<64
// hex>".
// - Chroot isolation refuses every --network but host.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace slipway::buildah {

using Argv = std::vector<std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Options before the subcommand.
struct Global {
    /// Words before the program: what makes the surroundings buildah runs in, and then executes it.
    std::vector<std::string> wrapper;
    std::string program = "buildah";
    std::filesystem::path root; ///< graph root
    std::filesystem::path runroot;
    std::string driver; ///< "overlay", "vfs"
    std::vector<std::string> storage_options;
    std::filesystem::path registries_conf; ///< empty = the system's
    /// Cache of short names. As root buildah wants to write /var/cache/containers, and where it cannot
    /// (read-only root), local images are "not known" by names such as `debian:13`: give it a file below the
    /// build's home.
    std::filesystem::path short_names;
    std::string log_level; ///< empty = buildah's own ("warn")
};

/// How registries are reached.
struct Access {
    std::filesystem::path authfile; ///< empty = none given
    std::optional<bool> tls_verify; ///< absent = what registries.conf says
    std::filesystem::path cert_dir; ///< directory of *.crt, *.cert, *.key; empty = the system's
};

struct Pull {
    std::string reference;          ///< "docker.io/library/debian@sha256:…": always fully qualified
    std::string policy = "missing"; ///< always, missing, never, newer
    std::string platform;           ///< "linux/arm64/v8"; empty = this machine's
    Access access;
    int retries = -1; ///< -1 = buildah's own
};

/// One `--build-context`: a spelling of a base image as it stands in the Dockerfile, and what it resolved to.
struct BaseContext {
    std::string spelling;
    std::string reference; ///< "repository@sha256:…"
};

struct SecretFile {
    std::string id;
    std::filesystem::path source;
};

struct SshAgent {
    std::string id = "default";
    std::vector<std::filesystem::path> sources; ///< key files or an agent's socket; empty = $SSH_AUTH_SOCK
};

struct Build {
    std::filesystem::path dockerfile; ///< absolute
    std::filesystem::path context;    ///< absolute
    std::string isolation = "chroot";
    bool layers = true;
    std::string pull_policy = "never";
    std::vector<BaseContext> bases;
    Pairs contexts;   ///< further build contexts: name, absolute directory
    Pairs build_args; ///< public: they are seen in argv and in the image's history
    std::string target;
    Pairs labels;
    Pairs annotations;
    std::vector<SecretFile> secrets;
    std::vector<SshAgent> ssh;
    std::string platform;
    std::string format = "oci"; ///< "oci", "docker"
    bool squash = false;
    std::optional<std::int64_t> timestamp; ///< seconds since 1970 for every file and the image
    std::filesystem::path iidfile;
    std::vector<std::string> tags;
    std::string network;                 ///< "host", "none", "private"; empty = buildah's own
    std::vector<std::string> cache_from; ///< repositories, without tag
    std::vector<std::string> cache_to;
    std::string cache_ttl; ///< "24h"
    bool no_cache = false;
    std::filesystem::path ignorefile; ///< empty = buildah looks itself
    Access access;
    int retries = -1; ///< -1 = buildah's own
    /// Capabilities a RUN shall not have, e.g. those this pod lacks (buildah fails to set them otherwise).
    std::vector<std::string> drop_capabilities;
    std::vector<std::string> ulimits; ///< "nofile=1024:4096"
    /// Set for every RUN and taken out of the image again. One more step (ENV) after each FROM for all of
    /// them.
    Pairs run_environment;
    std::string runtime;              ///< with OCI isolation; empty = buildah's own choice
    std::vector<std::string> volumes; ///< "source:target:ro", seen by every RUN
};

struct Push {
    std::string image;       ///< id or name in storage
    std::string destination; ///< "oci:/dir:name" or "dir:/dir", see the helpers below
    std::filesystem::path digestfile;
    std::string format;      ///< "oci", "v2s2"; empty = as it is
    std::string compression; ///< "gzip", "zstd", "zstd:chunked"; empty = buildah's own
    std::optional<int> compression_level;
    bool force_compression = false;
    Access access;
};

/// `oci:DIR:NAME` (a DIR with a colon is an error: the transport would split there).
Result<std::string> oci_destination(const std::filesystem::path& directory, const std::string& name = {});
/// `dir:DIR`.
Result<std::string> dir_destination(const std::filesystem::path& directory);

Result<Argv> pull(const Global& global, const Pull& options);
Result<Argv> build(const Global& global, const Build& options);
Result<Argv> push(const Global& global, const Push& options);
/// `name` fully qualified ("docker.io/library/debian:13"): how a pulled digest gets a Dockerfile's spelling.
Result<Argv> tag(const Global& global, const std::string& image, const std::string& name);
Result<Argv> inspect(const Global& global, const std::string& image);
Result<Argv> remove_image(const Global& global, const std::string& image, bool force = true);
Result<Argv> remove_all_containers(const Global& global);
Result<Argv> info(const Global& global);
Result<Argv> version(const Global& global);

} // namespace slipway::buildah
