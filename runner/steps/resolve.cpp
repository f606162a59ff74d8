#include "registry/resolve.hpp"

#include "base/file.hpp"
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

/// NAME=VALUE lines; blank lines and lines that begin with # are passed over.
Result<std::map<std::string, std::string>> build_args(const cli::Resolve& params) {
    std::map<std::string, std::string> args;
    if (!params.build_args_file.empty()) {
        TRY_ASSIGN(const std::string content, read_file(params.build_args_file, 1U << 20U));
        int number = 0;
        for (std::size_t begin = 0; begin < content.size();) {
            const std::size_t end = std::min(content.find('\n', begin), content.size());
            std::string line = content.substr(begin, end - begin);
            begin = end + 1;
            ++number;
            if (line.ends_with('\r')) {
                line.pop_back();
            }
            if (line.empty() || line.starts_with('#')) {
                continue;
            }
            const auto at = line.find('=');
            if (at == 0 || at == std::string::npos) {
                return fail(ErrorClass::usage, code::missing_or_invalid_argument,
                            std::format("{}:{}: not NAME=VALUE", params.build_args_file.string(), number),
                            "one NAME=VALUE a line; # begins a comment");
            }
            args.insert_or_assign(line.substr(0, at), line.substr(at + 1));
        }
    }
    for (const auto& [name, value] : params.build_args) {
        args.insert_or_assign(name, value);
    }
    return args;
}

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
                                     .text = command.text});
        }
    }
    std::ranges::sort(plan.commands, {}, &handoff::PlannedCommand::n);
    plan.docker_format = parsed.needs_docker_format;
}

/// One base image pinned; errors point at its first use.
Result<handoff::BaseImage> pin(const dockerfile::Dockerfile& file, const dockerfile::ExternalImage& image,
                               const cli::Resolve& params, const std::string& platform,
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
    const auto override = params.base_image_overrides.find(image.spelling);
    if (override != params.base_image_overrides.end() && image.spelling.contains('@')) {
        return fail(ErrorClass::usage, code::missing_or_invalid_argument,
                    std::format("--base-image-override: {} is named by its digest", image.spelling),
                    "only a base named by a tag can be replaced");
    }
    const std::string& wanted =
        override == params.base_image_overrides.end() ? image.spelling : override->second;
    auto resolved =
        registry::resolve_name(options, wanted, image.platform.empty() ? platform : image.platform);
    if (!resolved) {
        return fail(place(resolved.error()));
    }
    const registry::Reference& reference = resolved->reference;
    // The name buildah looks for where the Dockerfile writes this spelling.
    registry::Reference name = reference;
    if (&wanted != &image.spelling) {
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
                              .layers = std::move(layers)};
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

    TRY_ASSIGN(auto args, build_args(params));
    const std::string platform = params.platform.empty() ? host_platform() : params.platform;
    auto planned = dockerfile::plan(file, {.build_args = {args.begin(), args.end()},
                                           .target = params.target,
                                           .platform = platform,
                                           .build_platform = host_platform(),
                                           .predefined = predefined_args()});
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

    describe(parsed, plan);
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
            TRY_ASSIGN(auto pinned, pin(file, image, params, platform, options, step));
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
