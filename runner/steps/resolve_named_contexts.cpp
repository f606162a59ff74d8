// --build-context NAME=…: what a Dockerfile may name in --from= besides its stages and images.
#include "dockerfile/text.hpp"
#include "steps/resolve_parts.hpp"

#include <fcntl.h>
#include <format>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;
using dockerfile::shown;

constexpr std::string_view image_prefix = "docker-image://";

/// The directory `path` names: absolute as it is (another volume), else below the source and never outside.
Result<std::string> directory_of(const SourceTree& tree, const std::string& name, const std::string& path) {
    if (path.starts_with('/')) {
        if (auto opened = open_directory(path); !opened) {
            Error error =
                make_error(ErrorClass::usage, code::missing_or_invalid_argument,
                           std::format("--build-context: {} is no directory: {}", shown(name), path),
                           "mount it into this step and into the build's at the same place");
            error.cause = opened.error().cause;
            return fail(std::move(error));
        }
        return fs::path(path).lexically_normal().string();
    }
    if (auto opened = open_beneath(tree.root_fd.get(), path, O_RDONLY | O_DIRECTORY); !opened) {
        Error error = opened.error();
        error.hint = std::format("--build-context {}: name a directory of the source, or an absolute path",
                                 shown(name));
        return fail(std::move(error));
    }
    return (fs::absolute(tree.root) / path).lexically_normal().string();
}

} // namespace

Result<NamedContexts> named_contexts(const cli::Resolve& params, const SourceTree& tree) {
    NamedContexts named{.directories = {}, .images = params.base_image_overrides, .image_names = {}};
    for (const auto& [name, value] : params.build_contexts) {
        if (value.starts_with(image_prefix)) {
            if (!named.images.emplace(name, value.substr(image_prefix.size())).second) {
                return fail_usage(
                    std::format("{} is given by --base-image-override and by --build-context", name),
                    "leave one of them out");
            }
            named.image_names.insert(name);
        } else if (value.empty() || value.contains("://")) {
            return fail_usage(
                std::format("--build-context: {} is neither a directory nor an image", shown(name)),
                "fetch archives and repositories first (slipway fetch --into=DIR), and name the directory");
        } else {
            TRY_ASSIGN(named.directories[name], directory_of(tree, name, value));
        }
    }
    return named;
}

Status check_named_contexts(const NamedContexts& named, const dockerfile::BuildPlan& parsed,
                            Warnings& warnings) {
    std::set<std::string_view> used;
    for (const dockerfile::Stage& stage : parsed.stages) {
        if (named.image_names.contains(stage.name)) {
            return fail_usage(std::format("--build-context: {} is a stage of the Dockerfile (line {})",
                                          shown(stage.name), stage.line),
                              "a context cannot take a stage's place: give it another name");
        }
        for (const dockerfile::Command& command : stage.commands) {
            for (const dockerfile::Reference& reference : command.references) {
                used.insert(reference.spelling);
            }
        }
    }
    for (const dockerfile::ExternalImage& image : parsed.images) {
        used.insert(image.spelling);
    }
    const auto tell = [&](const std::string& name) {
        if (!used.contains(name)) {
            warnings.add("unusedbuildcontext",
                         std::format("nothing takes anything from the build context {}", shown(name)));
        }
    };
    for (const auto& [name, directory] : named.directories) {
        tell(name);
    }
    for (const std::string& name : named.image_names) {
        tell(name);
    }
    return {};
}

} // namespace slipway::steps
