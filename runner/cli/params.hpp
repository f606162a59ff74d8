// What each verb is told, typed and checked: the only form in which options reach the steps.
//
// One struct per verb; the options, their environment names and defaults are in verbs.cpp, the contract in
// docs/cli.md. Members that carry secrets hold paths of files, never the secrets.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace slipway::cli {

enum class OutputMode { automatic, frames, pretty };

/// Options of every step.
struct Common {
    std::filesystem::path state; ///< hand-off directory; empty = /slipway/state, else a private temporary one
    OutputMode output = OutputMode::automatic;
    Milliseconds heartbeat{10'000};
    Milliseconds timeout{0}; ///< of the whole step; 0 = none
    Milliseconds grace{5'000};
    std::vector<std::pair<std::string, std::filesystem::path>> results;
    std::size_t result_budget = 1800;
    std::uint64_t log_budget = 6U << 20U;
    std::filesystem::path log_archive; ///< empty = none kept
    std::string log_level = "warning";
    std::filesystem::path authfile; ///< empty = $REGISTRY_AUTH_FILE, $HOME/.docker/config.json if there
    std::filesystem::path ca_file;  ///< PEM, or a directory of such files, trusted besides the system's
    std::string ca_name;            ///< the one to take from that directory where it is there
    std::string build_id;
    int attempt = 1;
};

/// How images are read and written; shared by resolve, build and push.
struct Registry {
    bool tls_verify = true;
};

struct Fetch {
    std::string url;
    std::string revision; ///< empty = the remote's HEAD
    std::string refspec;
    int depth = 1; ///< 0 = all history
    bool tags = false;
    std::vector<std::string> sparse; ///< empty = the whole tree
    bool submodules = true;
    std::vector<std::string> submodule_paths; ///< empty = all
    std::filesystem::path into;
    std::filesystem::path subdirectory; ///< below `into`: relative, without ".."
    bool allow_existing = false;        ///< with no source named, take what `into` holds
    bool delete_existing = true;        ///< false: refuse to empty a directory that holds something
    std::filesystem::path ssh_dir;
    std::filesystem::path basic_auth_dir;
    std::filesystem::path known_hosts;
    bool accept_new_host_key = false;
    bool tls_verify = true;
    int retries = 3;
    std::string archive; ///< http, https or oci URL, path, "-" = standard input; instead of url
    std::string archive_digest;
    std::string dockerfile_only; ///< path or "-"; instead of url
    int strip_components = 0;
    std::uint64_t unpacked_limit = std::uint64_t{20} << 30U; ///< bytes
    int entry_limit = 1'000'000;
    int ratio_limit = 250; ///< 0 = none
    Milliseconds connect_timeout{30'000};
    Milliseconds stall_timeout{60'000}; ///< longest silence of the server; 0 = none
    bool lfs = true;                    ///< fetch what Git LFS pointers stand for
};

struct Resolve {
    std::filesystem::path source; ///< empty = what fetch left
    std::string context;          ///< relative to source; empty = all of it
    std::string dockerfile; ///< relative to source; empty = Dockerfile, else Containerfile in the context
    std::map<std::string, std::string> build_args;
    std::filesystem::path build_args_file;
    std::string target;
    std::string platform;
    std::map<std::string, std::string> base_image_overrides;
    std::map<std::string, std::string> build_contexts; ///< name → directory or docker-image://REF
    bool list_context = false; ///< say every path of the context that the ignore file leaves
    std::string lint = "warn"; ///< off, warn, error
    std::string report;        ///< text, json, sarif: a report instead of frames; empty = none
    bool offline = false;      ///< only with a report: no registry is asked, and no plan is left
    Registry registry;
    int retries = 3;
};

struct Build {
    std::filesystem::path
        work; ///< scratch: buildah's storage and home; empty = /slipway/work, else temporary
    std::string recipe = "auto";
    std::string storage = "auto";
    std::string isolation = "auto"; ///< auto, chroot, oci
    std::string format = "auto";    ///< auto, oci, docker
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> annotations;
    std::string runner_image; ///< what this runs in, for the line that repeats a failed build; may be empty
    std::filesystem::path labels_file;
    std::filesystem::path annotations_file;
    std::vector<std::string> secrets;              ///< id=…,src=… or id=…,env=…
    std::map<std::string, std::string> secret_env; ///< id → file
    std::vector<std::string> ssh;                  ///< [id=]path of a key or of an agent's socket
    bool squash = false;
    std::string timestamp; ///< seconds since 1970; empty = SOURCE_DATE_EPOCH, if there is one
    std::string network;   ///< host, none; empty = as the Dockerfile says
    bool hermetic = false; ///< the same as network none
    std::vector<std::string> cache_from;
    std::vector<std::string> cache_to;
    Milliseconds cache_ttl{0};     ///< 0 = any age
    std::filesystem::path buildah; ///< program; empty = buildah on PATH
    Registry registry;
    int retries = 3;
};

struct Push {
    std::string image;
    std::vector<std::string> tags;
    bool skip = false;
    Registry registry;
    int retries = 3;
};

/// Several pushed images → one manifest list.
struct Index {
    std::string image;
    std::vector<std::string> from; ///< REF@DIGEST each
    std::vector<std::string> tags;
    std::string format = "auto"; ///< auto, oci, docker
    Registry registry;
    int retries = 3;
};

struct Doctor {
    std::filesystem::path work;
    bool json = false;
};

struct Frames {
    enum class Action { render, check } action = Action::render;
    std::string file; ///< "-" = standard input
    bool color = false;
};

struct Version {
    bool json = false;
};

/// `slipway run`: all four steps in one process.
struct Run {
    Fetch fetch;
    Resolve resolve;
    Build build;
    Push push;
};

/// Text to print and be done with: --help.
struct Help {
    std::string text;
};

struct Invocation {
    Common common;
    std::variant<Help, Fetch, Resolve, Build, Push, Run, Index, Doctor, Frames, Version> verb;
};

} // namespace slipway::cli
