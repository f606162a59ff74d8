#include "cli/verbs.hpp"

#include "cli/buildah_args.hpp"

#include <array>
#include <format>

namespace slipway::cli {

namespace {

void bind_common(OptionTable& table, Common& common, std::string& output) {
    table.path("state", common.state,
               "hand-off directory between steps (/slipway/state where that exists, else a private one)");
    table.choice("output", output, {"auto", "frames", "pretty"}, "what to write on standard output");
    table.duration("heartbeat", common.heartbeat, "longest silence before a heartbeat frame");
    table.duration("timeout", common.timeout, "time limit of the whole step; 0 = none");
    table.duration("grace", common.grace, "time between TERM and KILL for children");
    table.paths("result", common.results, "also write the result NAME to the file PATH, as Tekton reads it");
    table.bytes("log-budget", common.log_budget, "bytes of live log before it is thinned and cut");
    table.path("log-archive", common.log_archive, "directory that keeps the whole log, redacted, as .zst");
    table.choice("log-level", common.log_level, {"trace", "debug", "info", "warning", "error", "off"},
                 "diagnostics on standard error");
    table.path("authfile", common.authfile,
               "registry credentials: config.json or .dockerconfigjson, or its folder");
    table.path(
        "ca-file", common.ca_file,
        "certificate authorities (PEM) to trust instead of the system's; of a directory: besides them");
    table.text("ca-name", common.ca_name, "file to take from the directory --ca-file (all *.crt, *.pem)",
               "NAME");
    table.text("build-id", common.build_id, "identity of this build in frames");
    table.number("attempt", common.attempt, 1, 1'000'000, "which attempt at this build it is");
}

void bind(OptionTable& table, Fetch& fetch) {
    table.text("url", fetch.url, "git repository: https, http, ssh, git or file URL, or user@host:path",
               "URL");
    table.text("revision", fetch.revision, "branch, tag, commit or ref; the remote's HEAD when empty");
    table.text("refspec", fetch.refspec, "refspec to fetch instead of the one the revision implies");
    table.number("depth", fetch.depth, 0, 1'000'000'000, "commits of history to fetch; 0 = all");
    table.flag("tags", fetch.tags, "fetch all tags as well");
    table.texts("sparse", fetch.sparse, "directory to check out, with the files above it; all when none",
                "PATH");
    table.commas("sparse-list", fetch.sparse, "the same as --sparse, in one value");
    table.flag("submodules", fetch.submodules, "fetch submodules too, and theirs");
    table.texts("submodule-path", fetch.submodule_paths,
                "submodule, or directory of some, to fetch; all when none", "PATH");
    table.commas("submodule-list", fetch.submodule_paths, "the same as --submodule-path, in one value");
    table.path("into", fetch.into,
               "directory for the tree; emptied first (source/ in the hand-off directory)");
    table.path("subdirectory", fetch.subdirectory, "where below --into; relative");
    table.flag("allow-existing", fetch.allow_existing,
               "with no source named: take the tree that --into holds as it is");
    table.flag("delete-existing", fetch.delete_existing,
               "empty the target; false: refuse one that is not empty");
    table.path("ssh-dir", fetch.ssh_dir, "directory with id_* or ssh-privatekey, known_hosts, config");
    table.path("basic-auth-dir", fetch.basic_auth_dir,
               "directory with username and password, or .git-credentials");
    table.path("known-hosts", fetch.known_hosts, "known_hosts file for SSH");
    table.flag("accept-new-host-key", fetch.accept_new_host_key, "trust an SSH host key nobody vouched for");
    table.flag("lfs", fetch.lfs, "fetch what Git LFS pointers stand for");
    table.flag("fetch-tls-verify", fetch.tls_verify,
               "insist on a trusted certificate of the source's server");
    table.number("fetch-retries", fetch.retries, 0, 100, "further tries after a transient failure");
    table.text("archive", fetch.archive,
               "archive (tar, zip), OCI artifact (oci://…) or Dockerfile to take instead; - = standard input",
               "URL|PATH|-");
    table.text("archive-digest", fetch.archive_digest, "what the archive's bytes must be", "sha256:HEX");
    table.text("dockerfile-only", fetch.dockerfile_only,
               "a source of nothing but this Dockerfile; - = standard input", "PATH|-");
    table.number("strip-components", fetch.strip_components, 0, 100,
                 "leading directories to drop from the names in the archive");
    table.bytes("unpacked-limit", fetch.unpacked_limit, "bytes an archive, or its content, may have");
    table.number("entry-limit", fetch.entry_limit, 1, 1'000'000'000,
                 "files and directories an archive may hold");
    table.number("ratio-limit", fetch.ratio_limit, 0, 1'000'000'000,
                 "times its size an archive may unpack to, past 100 MiB; 0 = no limit");
    table.duration("connect-timeout", fetch.connect_timeout, "time for a connection to the server");
    table.duration("stall-timeout", fetch.stall_timeout,
                   "longest silence of the server while it should send; 0 = none");
}

void bind(OptionTable& table, Resolve& resolve) {
    table.path("source", resolve.source, "root of the source tree (what fetch left)");
    table.text("context", resolve.context, "build context, relative to the source", "PATH");
    table.text("dockerfile", resolve.dockerfile,
               "Dockerfile, relative to the source (Dockerfile, else Containerfile, in the context)", "PATH");
    table.pairs("build-arg", resolve.build_args, "build argument; public: it ends in argv and image history");
    table.path("build-args-file", resolve.build_args_file,
               "file of NAME=VALUE lines; --build-arg wins over it");
    table.text("target", resolve.target, "stage to build instead of the last");
    table.text("platform", resolve.platform, "platform to build for (this machine's)", "OS/ARCH");
    table.pairs("base-image-override", resolve.base_image_overrides,
                "build on B wherever the Dockerfile says A", "A=B");
    table.pairs("build-context", resolve.build_contexts,
                "further build context, by name: a directory or docker-image://REF", "NAME=PATH");
    table.flag("list-context", resolve.list_context, "print every path of the context that is not ignored");
    table.choice("lint", resolve.lint, {"off", "warn", "error"},
                 "checks over the Dockerfile (docs/lint.md): what they find is told, or fails the step");
}

void bind(OptionTable& table, Build& build) {
    table.path("work", build.work, "scratch for buildah's storage (/slipway/work where that exists)");
    table.choice("recipe", build.recipe, {"auto", "A", "A-userns", "B", "C", "G"},
                 "how to build in this pod (docs/pods.md)");
    table.choice("storage", build.storage, {"auto", "overlay", "fuse-overlayfs", "vfs"}, "storage driver");
    table.choice("isolation", build.isolation, {"auto", "chroot", "oci"},
                 "how a RUN is kept apart (docs/pods.md)");
    table.choice("format", build.format, {"auto", "oci", "docker"},
                 "image format; auto keeps what OCI would lose");
    table.pairs("label", build.labels, "image label");
    table.pairs("annotation", build.annotations, "manifest annotation");
    table.path("labels-file", build.labels_file, "file of NAME=VALUE lines; --label wins over it");
    table.path("annotations-file", build.annotations_file,
               "file of NAME=VALUE lines; --annotation wins over it");
    table.texts("secret", build.secrets,
                "secret for RUN --mount=type=secret: a file, or env=NAME for a variable of this process",
                "id=ID,src=PATH");
    table.pairs("secret-env", build.secret_env,
                "secret ID as an environment variable would hold it: without the file's line end", "ID=PATH");
    table.texts("ssh", build.ssh, "key file or agent socket for RUN --mount=type=ssh", "[ID=]PATH");
    table.flag("squash", build.squash, "the image's own layers as one");
    table.text("timestamp", build.timestamp,
               "time of the image and of every file it adds, for reproducible images (SOURCE_DATE_EPOCH)",
               "SECONDS");
    table.choice("network", build.network, {"host", "none"},
                 "network of every RUN, whatever the Dockerfile says; none = --hermetic");
    table.flag("hermetic", build.hermetic, "no RUN reaches a network; bases and context are still fetched");
    table.texts("cache-from", build.cache_from, "repository to take cached layers from", "REPOSITORY");
    table.texts("cache-to", build.cache_to, "repository to keep layers in", "REPOSITORY");
    table.duration("cache-ttl", build.cache_ttl, "oldest cached layer to take; 0 = any");
    table.path("buildah", build.buildah, "buildah program (buildah on PATH)");
    table.text("runner-image", build.runner_image,
               "image this runs in, for the line that repeats a failed build (localhost/slipway:VERSION)",
               "REF");
}

void bind(OptionTable& table, Push& push) {
    table.text("image", push.image, "where to push: registry/repository[:tag]", "REF");
    table.texts("tag", push.tags, "further tag in the same repository", "NAME");
    table.flag("skip", push.skip, "do not push; report what would be");
    table.number("push-retries", push.retries, 0, 100, "further tries after a transient failure");
}

struct Verb {
    std::string_view name;
    std::string_view summary;
};

constexpr std::array<Verb, 9> verbs{
    {{.name = "fetch",
      .summary = "fetch a git repository, an archive or a lone Dockerfile into a clean tree"},
     {.name = "resolve", .summary = "find and understand the Dockerfile, pin its base images"},
     {.name = "build", .summary = "build the image with an unprivileged buildah"},
     {.name = "push", .summary = "push the built image: blobs, manifest, tags"},
     {.name = "run", .summary = "fetch, resolve, build and push in one process"},
     {.name = "index", .summary = "join several pushed images, one for each platform, under one name"},
     {.name = "doctor", .summary = "say what this pod allows and what is missing"},
     {.name = "frames", .summary = "render or check a recorded stream of frames"},
     {.name = "version", .summary = "say which version this is"}}};

std::string program_help() {
    std::string text = "usage: slipway VERB [OPTIONS]\n\n"
                       "Builds a container image inside an ordinary, unprivileged pod.\n\nverbs:\n";
    for (const Verb& verb : verbs) {
        text += std::format("  {:8}  {}\n", verb.name, verb.summary);
    }
    return text + "\n'slipway VERB --help' shows a verb's options.\n";
}

std::unexpected<Error> need(std::string_view option, std::string_view what) {
    return fail_usage(std::format("--{} is missing", option), std::format("give --{} {}", option, what));
}

/// Exactly one source (or what is there already), and no option that belongs to another kind.
Status check_source(const Fetch& fetch) {
    const int sources = static_cast<int>(!fetch.url.empty()) + static_cast<int>(!fetch.archive.empty()) +
                        static_cast<int>(!fetch.dockerfile_only.empty());
    constexpr std::string_view one =
        "give one of --url REPOSITORY, --archive URL|PATH|-, --dockerfile-only PATH|-";
    if (sources == 0 && fetch.allow_existing && !fetch.into.empty()) {
        return {};
    }
    if (sources == 0) {
        return fail_usage("no source: --url, --archive and --dockerfile-only are missing", std::string(one));
    }
    if (sources > 1) {
        return fail_usage("--url, --archive and --dockerfile-only exclude each other", std::string(one));
    }
    if (fetch.url.empty() && !(fetch.revision.empty() && fetch.refspec.empty())) {
        return fail_usage("--revision and --refspec are for git: there is no --url",
                          "leave them out, or give --url");
    }
    if (fetch.archive.empty() && !(fetch.archive_digest.empty() && fetch.strip_components == 0)) {
        return fail_usage("--archive-digest and --strip-components are for archives: there is no --archive",
                          "leave them out, or give --archive");
    }
    return {};
}

/// Options of one verb, from table to Invocation.
class VerbParser {
  public:
    VerbParser(const Verb& verb, std::string usage)
        : table_(std::move(usage), std::string(verb.summary) + ".") {}

    OptionTable& table() { return table_; }
    Invocation& invocation() { return invocation_; }

    void common() {
        bind_common(table_, invocation_.common, output_);
        table_.bytes("result-budget", result_budget_, "bytes all results of this step may take, encoded");
        steps_ = true;
    }
    void buildah_args() {
        table_.texts("buildah-args", buildah_args_, "options as for buildah: a subset (docs/tekton.md)");
    }
    void registry(Registry& registry) {
        table_.flag("tls-verify", registry.tls_verify, "insist on TLS with a trusted certificate");
    }

    Status parse(const std::vector<std::string>& arguments, const Environment& environment) {
        TRY(table_.parse(arguments, environment));
        if (table_.help_wanted()) {
            invocation_.verb = Help{table_.help()};
        }
        for (const std::string& text : std::exchange(buildah_args_, {})) {
            TRY_ASSIGN(auto more, translate_buildah_args(text));
            // What another verb has to do with is that one's.
            std::erase_if(more, [this](const std::string& option) {
                return !table_.knows(std::string_view(option).substr(2, option.find('=') - 2));
            });
            TRY(table_.parse(more, [](const std::string&) { return std::string(); }));
        }
        if (steps_) {
            invocation_.common.result_budget = static_cast<std::size_t>(result_budget_);
            invocation_.common.output = output_ == "frames"   ? OutputMode::frames
                                        : output_ == "pretty" ? OutputMode::pretty
                                                              : OutputMode::automatic;
        }
        return {};
    }

  private:
    OptionTable table_;
    Invocation invocation_;
    std::string output_ = "auto";
    std::vector<std::string> buildah_args_;
    std::uint64_t result_budget_ = 1800;
    bool steps_ = false;
};

/// The parsed verb `params`, unless help was asked for; `missing` is what its required options lack.
template <class Params> Result<Invocation> finish(VerbParser& parser, Params params, const Status& missing) {
    // A fresh Invocation holds an empty Help; parse() fills it when --help was given.
    if (std::get<Help>(parser.invocation().verb).text.empty()) {
        TRY(missing);
        parser.invocation().verb = std::move(params);
    }
    return std::move(parser.invocation());
}

Result<Invocation> parse_frames(const Verb& verb, std::vector<std::string> rest,
                                const Environment& environment) {
    Frames frames;
    frames.file = "-";
    VerbParser parser(verb, "slipway frames render|check [OPTIONS] [FILE]");
    parser.table().positional("FILE", frames.file, "recorded stream, also .zst; - = standard input");
    parser.table().flag("color", frames.color, "colour the rendered text");
    const std::string action = rest.empty() ? "" : rest.front();
    if (action == "render" || action == "check") {
        frames.action = action == "render" ? Frames::Action::render : Frames::Action::check;
        rest.erase(rest.begin());
    } else if (action != "--help") {
        return fail_usage(std::format("frames: '{}' is neither render nor check", action),
                          "say 'slipway frames render FILE' or 'slipway frames check FILE'");
    }
    TRY(parser.parse(rest, environment));
    return finish(parser, frames, {});
}

Result<Invocation> parse_verb(const Verb& verb, const std::vector<std::string>& rest,
                              const Environment& environment) {
    VerbParser parser(verb, std::format("slipway {} [OPTIONS]", verb.name));
    OptionTable& table = parser.table();
    if (verb.name == "fetch") {
        Fetch fetch;
        parser.common();
        bind(table, fetch);
        table.number("retries", fetch.retries, 0, 100, "the same as --fetch-retries");
        table.flag("tls-verify", fetch.tls_verify, "the same as --fetch-tls-verify");
        TRY(parser.parse(rest, environment));
        return finish(parser, fetch, check_source(fetch));
    }
    if (verb.name == "resolve") {
        Resolve resolve;
        parser.common();
        bind(table, resolve);
        table.choice("report", resolve.report, {"text", "json", "sarif"},
                     "write the checks' report to standard output, instead of frames");
        table.flag("offline", resolve.offline, "with --report: ask no registry, leave no plan");
        parser.buildah_args();
        parser.registry(resolve.registry);
        table.number("retries", resolve.retries, 0, 100, "further tries after a transient failure");
        TRY(parser.parse(rest, environment));
        return finish(parser, resolve,
                      resolve.offline && resolve.report.empty()
                          ? Status(need("report", "text, json or sarif"))
                          : Status());
    }
    if (verb.name == "build") {
        Build build;
        parser.common();
        bind(table, build);
        parser.buildah_args();
        parser.registry(build.registry);
        table.number("retries", build.retries, 0, 100, "further tries of a pull after a transient failure");
        TRY(parser.parse(rest, environment));
        return finish(parser, build, {});
    }
    if (verb.name == "push") {
        Push push;
        parser.common();
        bind(table, push);
        parser.buildah_args();
        parser.registry(push.registry);
        table.number("retries", push.retries, 0, 100, "the same as --push-retries");
        TRY(parser.parse(rest, environment));
        return finish(parser, push,
                      push.image.empty() ? Status(need("image", "registry/repository[:tag]")) : Status());
    }
    if (verb.name == "run") {
        Run run;
        Registry registry;
        int retries = 3;
        parser.common();
        bind(table, run.fetch);
        bind(table, run.resolve);
        bind(table, run.build);
        bind(table, run.push);
        parser.buildah_args();
        parser.registry(registry);
        table.number("retries", retries, 0, 100, "further tries of resolve and build");
        TRY(parser.parse(rest, environment));
        run.resolve.retries = run.build.retries = retries;
        run.resolve.registry = run.build.registry = run.push.registry = registry;
        Status missing = check_source(run.fetch);
        if (missing && run.push.image.empty() && !run.push.skip) {
            missing = need("image", "registry/repository[:tag], or --skip");
        }
        return finish(parser, run, missing);
    }
    if (verb.name == "index") {
        Index index;
        parser.common();
        table.text("image", index.image, "where the list goes: registry/repository[:tag]", "REF");
        table.texts("from", index.from, "a pushed image to join", "REF@DIGEST");
        table.texts("tag", index.tags, "further tag in the same repository", "NAME");
        table.choice("format", index.format, {"auto", "oci", "docker"},
                     "kind of list; auto: docker where every image is of Docker's format");
        parser.registry(index.registry);
        table.number("retries", index.retries, 0, 100, "further tries after a transient failure");
        TRY(parser.parse(rest, environment));
        Status missing;
        if (index.image.empty()) {
            missing = need("image", "registry/repository[:tag]");
        } else if (index.from.empty()) {
            missing = need("from", "registry/repository@sha256:…, once for each image");
        }
        return finish(parser, index, missing);
    }
    if (verb.name == "doctor") {
        Doctor doctor;
        table.path("work", doctor.work, "scratch directory buildah's storage would be in");
        table.flag("json", doctor.json, "the report as JSON");
        TRY(parser.parse(rest, environment));
        return finish(parser, doctor, {});
    }
    if (verb.name == "frames") {
        return parse_frames(verb, rest, environment);
    }
    Version version;
    table.flag("json", version.json, "as JSON");
    TRY(parser.parse(rest, environment));
    return finish(parser, version, {});
}

} // namespace

Result<Invocation> parse(const std::vector<std::string>& arguments, const Environment& environment) {
    const std::string name = arguments.empty() ? "--help" : arguments.front();
    if (name == "--help" || name == "-h" || name == "help") {
        return Invocation{.common = {}, .verb = Help{program_help()}};
    }
    const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
    for (const Verb& verb : verbs) {
        if (verb.name == (name == "--version" ? "version" : name)) {
            return parse_verb(verb, rest, environment);
        }
    }
    return fail_usage(std::format("'{}' is not a verb", name),
                      "say one of fetch, resolve, build, push, run, index, doctor, frames, version");
}

} // namespace slipway::cli
