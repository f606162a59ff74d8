#include "registry/resolve.hpp"

#include "base/file.hpp"
#include "cli/pair_file.hpp"
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "handoff/files.hpp"
#include "registry/reference.hpp"
#include "steps/access.hpp"
#include "steps/resolve_parts.hpp"
#include "steps/resolve_report.hpp"
#include "steps/steps.hpp"

#include <algorithm>
#include <format>
#include <set>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

std::string host_platform() {
#if defined(__x86_64__)
    return "linux/amd64";
#elif defined(__aarch64__)
    return "linux/arm64";
#else
#error "name this architecture as OCI does"
#endif
}

/// What buildah hands to every RUN without an ARG.
std::vector<std::pair<std::string, std::string>> predefined_args() {
    std::vector<std::pair<std::string, std::string>> args;
    for (const char* name : {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy", "HTTP_PROXY",
                             "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}) {
        if (std::string value = environment(name); !value.empty()) {
            args.emplace_back(name, std::move(value));
        }
    }
    return args;
}

/// Stages and commands, as the plan has them.
void describe(const dockerfile::BuildPlan& parsed, handoff::Plan& plan) {
    for (const int index : parsed.order) {
        const auto& stage = parsed.stages[static_cast<std::size_t>(index)];
        const auto kind = stage.base.kind;
        plan.stages.push_back({.index = index,
                               .name = stage.name,
                               .base = stage.base.spelling,
                               .base_kind = kind == dockerfile::BaseKind::scratch ? "scratch"
                                            : kind == dockerfile::BaseKind::stage ? "stage"
                                                                                  : "image"});
        for (const auto& command : stage.commands) {
            plan.commands.push_back({.n = command.n,
                                     .stage = command.stage,
                                     .position = command.position,
                                     .line = command.line,
                                     .keyword = command.keyword,
                                     .text = command.text,
                                     .network = command.network});
        }
    }
    std::ranges::sort(plan.commands, {}, &handoff::PlannedCommand::n);
    plan.docker_format = parsed.needs_docker_format;
}

/// One base image pinned; errors point at its first use.
Result<handoff::BaseImage> pin(const dockerfile::Dockerfile& file, const dockerfile::ExternalImage& image,
                               const NamedContexts& named, const std::string& platform,
                               const registry::Options& options, Step& step) {
    const int line = image.uses.empty() ? 0 : image.uses.front().line;
    const auto place = [&](Error error) {
        if (error.klass == ErrorClass::usage) { // a reference nobody can read is the Dockerfile author's
            error.klass = ErrorClass::build;
            error.code = code::dockerfile_issue;
        }
        error.where = file.where(line);
        return error;
    };
    const auto override = named.images.find(image.spelling);
    const bool replaced = override != named.images.end();
    const std::string& wanted = replaced ? override->second : image.spelling;
    auto resolved =
        registry::resolve_name(options, wanted, image.platform.empty() ? platform : image.platform);
    if (!resolved) {
        return fail(place(resolved.error()));
    }
    const registry::Reference& reference = resolved->reference;
    // The name buildah looks for where the Dockerfile writes this spelling.
    registry::Reference name = reference;
    if (replaced) {
        auto meanings = options.registries.meanings(image.spelling);
        if (!meanings) {
            return fail(place(meanings.error()));
        }
        name = meanings->front();
    } else if (reference.digest.empty() && registry::parse_reference(image.spelling)->short_name) {
        step.stream.log(frames::Lane::err, std::format("{} stands for {}", image.spelling, reference.text()));
    }
    if (!resolved->platform_matches) {
        // buildah would pull it, then not find it for the platform it builds for.
        return fail(
            place(make_error(ErrorClass::build, code::cannot_pull_base_image,
                             std::format("{} is made for {}, not for {}", image.spelling, resolved->platform,
                                         image.platform.empty() ? platform : image.platform),
                             "choose another base image, or FROM --platform")));
    }
    if (!resolved->on_build.empty()) {
        step.warn("onbuild",
                  std::format(
                      "{} has {} ONBUILD triggers; they run before the next instruction and are not numbered",
                      image.spelling, resolved->on_build.size()));
    }
    std::vector<std::string> layers;
    for (const registry::Layer& layer : resolved->layers) {
        layers.push_back(layer.digest);
    }
    std::vector<std::string> env;
    for (const auto& [variable, value] : resolved->env) {
        env.push_back(variable + "=" + value);
    }
    std::set<std::string> stands_in_for;
    if (replaced && image.spelling.contains('@')) {
        // buildah compares FROM as it is written, --from as it reads once its variables are filled in.
        stands_in_for.insert(image.spelling);
        for (const dockerfile::ImageUse& use : image.uses) {
            stands_in_for.insert(use.written);
        }
    }
    return handoff::BaseImage{.spelling = image.spelling,
                              // A digest the author wrote is what buildah will look for.
                              .pinned = reference.with_digest(
                                  reference.digest.empty() ? resolved->manifest_digest : reference.digest),
                              .name = name.text(),
                              .index_digest = resolved->index_digest,
                              .manifest_digest = resolved->manifest_digest,
                              .registry = reference.registry,
                              .repository = reference.repository,
                              .tag = reference.tag,
                              .platform = resolved->platform,
                              .size = resolved->size,
                              .line = line,
                              .user = resolved->user,
                              .env = std::move(env),
                              .on_build = resolved->on_build,
                              .layers = std::move(layers),
                              .stands_in_for = {stands_in_for.begin(), stands_in_for.end()}};
}

std::string digests_result(const std::vector<handoff::BaseImage>& images) {
    std::string text;
    std::set<std::string> seen;
    for (const handoff::BaseImage& image : images) {
        const std::string& digest = image.index_digest.empty() ? image.manifest_digest : image.index_digest;
        const std::string entry = image.registry + "/" + image.repository +
                                  (image.tag.empty() ? "" : ":" + image.tag) + "@" + digest;
        if (seen.insert(entry).second) {
            text += (text.empty() ? "" : "\n") + entry;
        }
    }
    return text;
}

} // namespace

Result<handoff::Plan> resolve(const cli::Resolve& params, const handoff::Source& source, Step& step,
                              lint::Findings* findings) {
    const fs::path root = params.source.empty() ? fs::path(source.directory) : params.source;
    step.hello("resolve the Dockerfile in " + root.string());
    if (!params.offline) {
        TRY(handoff::forget_from(step.state, "plan"));
    }
    handoff::Plan plan;
    Warnings warnings(step, plan.warnings);
    TRY_ASSIGN(const SourceTree tree, open_source_tree(root, params.context));
    TRY_ASSIGN(const FoundDockerfile found, find_dockerfile(tree, params.dockerfile, warnings));
    TRY_ASSIGN(const dockerfile::Dockerfile file, dockerfile::parse(found.content, found.path));

    TRY_ASSIGN(auto args, cli::pairs_over_file(params.build_args_file, params.build_args));
    TRY_ASSIGN(const NamedContexts named, named_contexts(params, tree));
    std::set<std::string, std::less<>> directories;
    for (const auto& [name, directory] : named.directories) {
        directories.insert(name);
    }
    const std::string platform = params.platform.empty() ? host_platform() : params.platform;
    auto planned = dockerfile::plan(file, {.build_args = {args.begin(), args.end()},
                                           .target = params.target,
                                           .platform = platform,
                                           .build_platform = host_platform(),
                                           .predefined = predefined_args(),
                                           .contexts = std::move(directories)});
    const lint::Options checks{.build_args = args};
    TRY(tell_findings(params.lint, file, planned ? &*planned : nullptr, checks, step, findings));
    TRY_ASSIGN(const dockerfile::BuildPlan parsed, std::move(planned));
    for (const dockerfile::PlanWarning& warning : parsed.warnings) {
        // Their frames came with the findings.
        plan.warnings.push_back(
            {.code = warning.code,
             .message = warning.line > 0 ? std::format("{}:{}: {}", found.path, warning.line, warning.message)
                                         : warning.message,
             .hint = warning.hint});
    }

    TRY(check_named_contexts(named, parsed, warnings));
    describe(parsed, plan);
    plan.contexts = named.directories;
    plan.source = fs::absolute(root).lexically_normal().string();
    plan.context = tree.context;
    plan.dockerfile = found.path;
    plan.target = params.target;
    plan.platform = platform;
    plan.build_args = std::move(args);
    TRY(examine_context(tree, file, parsed, params.list_context, plan, warnings, step));

    if (params.offline) {
        return plan;
    }
    if (!parsed.images.empty()) {
        TRY_ASSIGN(const registry::Options options, registry_options(params.registry, params.retries, step));
        std::uint64_t done = 0;
        for (const dockerfile::ExternalImage& image : parsed.images) {
            TRY_ASSIGN(auto pinned, pin(file, image, named, platform, options, step));
            for (const handoff::BaseImage& other : plan.images) {
                if (other.spelling == pinned.spelling && other.pinned != pinned.pinned) {
                    Error error = make_error(ErrorClass::build, code::dockerfile_issue,
                                             image.spelling + " is used for two platforms in one build",
                                             "give one of them by its digest");
                    error.where = file.where(pinned.line);
                    return fail(std::move(error));
                }
            }
            plan.images.push_back(std::move(pinned));
            step.stream.emit(frames::Progress{.what = "resolve",
                                              .id = "base images",
                                              .current = ++done,
                                              .total = parsed.images.size(),
                                              .unit = frames::Unit::objects});
        }
    }
    TRY(handoff::write(step.state, plan));
    step.result("BASE_IMAGES_DIGESTS", digests_result(plan.images));
    return plan;
}

} // namespace slipway::steps
