// The values that go from step to step: fetch → Source → resolve → Plan → build → Image → push → Pushed.
//
// Immutable once made, forward only. Between Tekton steps each is one JSON file (docs/handoff.md gives the
// format); inside `slipway run` the same structs are passed in memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace slipway::handoff {

/// What `fetch` put on disk.
struct Source {
    std::string directory;           ///< absolute path of the tree's root
    std::string commit;              ///< full object name; empty when the source is no git repository
    std::string url;                 ///< without credentials
    std::string ref;                 ///< what was asked for or found, e.g. "refs/heads/main"
    std::string committer_date;      ///< RFC 3339; empty when unknown
    std::int64_t committer_time = 0; ///< seconds since 1970
    std::string subject;             ///< first line of the commit message
    std::string archive_digest; ///< of an archive's or a lone Dockerfile's bytes, "sha256:<hex>"; else empty
    std::string author;         ///< "Name <email>"; empty when unknown
    std::string author_date;    ///< as committer_date
    std::string tree;           ///< id of the commit's tree
    /// What else fetch was told about which part of it to take, as words: "--sparse=docs".
    std::vector<std::string> options = {};

    bool operator==(const Source&) const = default;
};

struct PlannedStage {
    int index = 0;
    std::string name;      ///< as after AS; empty when unnamed
    std::string base;      ///< spelling in FROM after expansion
    std::string base_kind; ///< "image", "stage" or "scratch"

    bool operator==(const PlannedStage&) const = default;
};

/// One instruction that will run. `n` counts over all stages that run, FROM included.
struct PlannedCommand {
    int n = 0;
    int stage = 0;    ///< index of its stage
    int position = 0; ///< place within its stage, FROM = 1: buildah's STEP number
    int line = 0;
    std::string keyword;
    std::string text;         ///< as written in the Dockerfile, continuation lines joined
    std::string network = {}; ///< of RUN --network; empty when it says nothing

    bool operator==(const PlannedCommand&) const = default;
};

/// A base image, pinned: `pinned` is pulled and given the name `name` in the build's own storage.
struct BaseImage {
    std::string spelling;     ///< as in FROM, COPY --from or --mount=from, after expansion
    std::string pinned;       ///< repository@digest of the platform's manifest: what gets built on
    std::string name;         ///< what `spelling` stands for: registry/repository[:tag][@digest]
    std::string index_digest; ///< of the manifest list the reference named; empty where there is none
    std::string manifest_digest;
    std::string registry;
    std::string repository; ///< without the registry
    std::string tag;        ///< empty when the reference had only a digest
    std::string platform;
    std::uint64_t size = 0;            ///< sum of the compressed layers, bytes
    int line = 0;                      ///< first use in the Dockerfile
    std::string user;                  ///< its USER; empty = root
    std::vector<std::string> env;      ///< its ENV, NAME=VALUE each
    std::vector<std::string> on_build; ///< its ONBUILD triggers
    std::vector<std::string> layers;   ///< digests of its (compressed) layers
    /// Where it replaces an image named by digest: what the Dockerfile writes for that, before and after
    /// expansion. A name can be given to another image, a digest cannot.
    std::vector<std::string> stands_in_for = {};

    bool operator==(const BaseImage&) const = default;
};

/// Something `resolve` warned of.
struct PlannedWarning {
    std::string code;
    std::string message;
    std::string hint; ///< may be empty

    bool operator==(const PlannedWarning&) const = default;
};

/// What `resolve` decided will be built.
struct Plan {
    std::string source;              ///< absolute path of the tree's root
    std::string context;             ///< relative to source, "." for all of it
    std::string dockerfile;          ///< relative to source
    std::string ignore_file;         ///< relative to source; empty = none
    std::uint64_t context_files = 0; ///< files of the context that the ignore file leaves
    std::uint64_t context_bytes = 0; ///< of these
    std::string target;              ///< empty = last stage
    std::string platform;            ///< "linux/amd64"
    bool docker_format = false;      ///< an OCI image would lose HEALTHCHECK, SHELL or ONBUILD
    std::map<std::string, std::string> build_args;
    std::map<std::string, std::string> contexts = {}; ///< further build contexts: name → absolute directory
    std::vector<PlannedStage> stages;                 ///< those that run, in order
    std::vector<PlannedCommand> commands;
    std::vector<BaseImage> images;
    std::vector<PlannedWarning> warnings;

    bool operator==(const Plan&) const = default;
};

/// What `build` left under the hand-off directory.
struct Image {
    std::string layout;          ///< "oci" or "dir" (containers' form for Docker manifests)
    std::string path;            ///< of the layout, relative to the hand-off directory
    std::string manifest_digest; ///< what push must find
    std::string config_digest;
    std::string platform;
    std::uint64_t size = 0; ///< sum of the compressed layers, bytes
    int layers = 0;

    bool operator==(const Image&) const = default;
};

/// What `push` made visible.
struct Pushed {
    std::string digest;
    std::vector<std::string> references; ///< registry/repository:tag, the first is the main one

    bool operator==(const Pushed&) const = default;
};

} // namespace slipway::handoff
