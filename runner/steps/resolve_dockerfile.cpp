#include "base/file.hpp"
#include "context/tree.hpp"
#include "dockerfile/text.hpp"
#include "steps/resolve_parts.hpp"

#include <algorithm>
#include <fcntl.h>
#include <format>
#include <optional>
#include <sys/stat.h>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t names_looked_at = 5'000;

/// `path` seen from `base`, relative to the source's root; nothing when it climbs out. A leading '/' is that
/// root: Quay says "/" for all of the source.
std::optional<std::string> relative_path(std::string_view base, std::string_view path) {
    std::vector<std::string> parts;
    const fs::path joined = path.starts_with('/') ? fs::path(path).relative_path() : fs::path(base) / path;
    for (const fs::path& part : joined) {
        if (part == "..") {
            if (parts.empty()) {
                return std::nullopt;
            }
            parts.pop_back();
        } else if (!part.empty() && part != "." && part != "/") {
            parts.push_back(part.string());
        }
    }
    std::string text;
    for (const std::string& part : parts) {
        text += (text.empty() ? "" : "/") + part;
    }
    return text.empty() ? "." : text;
}

std::unexpected<Error> climbs(std::string_view option, std::string_view path) {
    return fail(ErrorClass::build, code::context_issue,
                std::format("--{}: '{}' leaves the source directory", option, dockerfile::shown(path)),
                "name a path inside the source");
}

std::unexpected<Error> wrong_file(const std::string& path, std::string message, std::string hint) {
    Error error = make_error(ErrorClass::build, code::dockerfile_issue, std::move(message), std::move(hint));
    error.where = Where{.file = path, .line = 0, .column = 0, .quote = {}};
    return fail(std::move(error));
}

enum class State { missing, directory, file, other };
struct Candidate {
    std::string path;
    State state = State::missing;
    Fd fd = {};
    struct stat info = {};
};

Result<Candidate> look(const SourceTree& tree, std::string path) {
    Candidate candidate{.path = std::move(path)};
    auto fd = open_beneath(tree.root_fd.get(), candidate.path, O_RDONLY | O_NONBLOCK);
    if (!fd) {
        const std::string& cause = fd.error().cause;
        if (cause.ends_with("No such file or directory") || cause.ends_with("Not a directory")) {
            return candidate;
        }
        if (cause.contains("device or address")) { // a socket cannot be opened at all
            candidate.state = State::other;
            return candidate;
        }
        Error error = fd.error();
        error.where = Where{.file = candidate.path, .line = 0, .column = 0, .quote = {}};
        return fail(std::move(error));
    }
    const bool known = ::fstat(fd->get(), &candidate.info) == 0;
    candidate.state = known && S_ISREG(candidate.info.st_mode)   ? State::file
                      : known && S_ISDIR(candidate.info.st_mode) ? State::directory
                                                                 : State::other;
    candidate.fd = std::move(*fd);
    return candidate;
}

std::string in(const std::string& directory) {
    return directory.empty() || directory == "." ? "the source" : dockerfile::shown(directory) + '/';
}

/// What the author may have meant by a file that is not there.
std::string suggestion(const SourceTree& tree, const std::string& wanted, bool named) {
    const fs::path path(wanted);
    const std::string directory = path.parent_path().string();
    const std::string name = path.filename().string();
    const auto names = context::names_in(tree.root_fd.get(), directory, names_looked_at);
    const auto beside = [&](std::string_view other) {
        return dockerfile::shown(directory.empty() ? std::string(other)
                                                   : directory + '/' + std::string(other));
    };
    std::string_view near;
    for (const std::string& other : names) {
        const std::string lower = dockerfile::to_lower(other);
        if (dockerfile::equal_ignoring_case(other, name) ||
            (!named && (lower == "containerfile" || lower == "dockerfile"))) {
            return std::format("did you mean {}? Upper and lower case differ; name it with --dockerfile",
                               beside(other));
        }
        if (!named && near.empty() && (lower.starts_with("dockerfile") || lower.ends_with(".dockerfile"))) {
            near = other;
        }
    }
    if (named) {
        const std::vector<std::string_view> all(names.begin(), names.end());
        near = dockerfile::closest(name, all);
    }
    if (!near.empty()) {
        return std::format("did you mean {}? Name it with --dockerfile", beside(near));
    }
    for (const std::string& folder : names) {
        const std::string below = (directory.empty() ? "" : directory + '/') + folder + '/' + name;
        struct stat info{};
        if (::fstatat(tree.root_fd.get(), below.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode)) {
            return std::format("there is {}: name it with --dockerfile, or its folder with --context",
                               dockerfile::shown(below));
        }
    }
    return "name it with --dockerfile, relative to the source or to the context";
}

} // namespace

void Warnings::add(std::string code, std::string message, std::string hint) {
    constexpr std::size_t most_kept = 1'000;
    if (kept_.size() < most_kept) {
        kept_.push_back({.code = code, .message = message, .hint = hint});
        step_.warn(std::move(code), std::move(message), std::move(hint));
    }
}

Result<SourceTree> open_source_tree(fs::path root, const std::string& context) {
    auto opened = open_directory(root);
    if (!opened) {
        Error error =
            make_error(ErrorClass::usage, code::missing_or_invalid_argument,
                       "the source directory cannot be opened: " + root.string(),
                       "name it with --source, or mount the volume fetch wrote to at the same place");
        error.cause = opened.error().cause;
        return fail(std::move(error));
    }
    const auto relative = relative_path({}, context);
    if (!relative) {
        return climbs("context", context);
    }
    auto directory = open_beneath(opened->get(), *relative, O_RDONLY | O_DIRECTORY);
    if (!directory) {
        Error error = directory.error();
        error.hint = "name a directory of the source with --context";
        return fail(std::move(error));
    }
    return SourceTree{.root = std::move(root),
                      .root_fd = std::move(*opened),
                      .context = *relative,
                      .context_fd = std::move(*directory)};
}

Result<FoundDockerfile> find_dockerfile(const SourceTree& tree, const std::string& wish, Warnings& warnings) {
    const bool named = !wish.empty();
    std::vector<std::string> paths;
    const auto consider = [&](std::string_view base, std::string_view path) {
        if (auto relative = relative_path(base, path); relative && !std::ranges::contains(paths, *relative)) {
            paths.push_back(std::move(*relative));
        }
    };
    if (named) {
        consider({}, wish);
        consider(tree.context, fs::path(wish).relative_path().string());
        if (paths.empty()) {
            return climbs("dockerfile", wish);
        }
    } else {
        consider(tree.context, "Dockerfile");
        consider(tree.context, "Containerfile");
    }

    std::optional<Candidate> taken;
    std::string folder;
    for (const std::string& path : paths) {
        TRY_ASSIGN(Candidate candidate, look(tree, path));
        if (candidate.state == State::other) {
            return wrong_file(path, path + " is not a regular file", "name the Dockerfile with --dockerfile");
        }
        if (candidate.state == State::directory) {
            folder = folder.empty() ? path : folder;
        } else if (candidate.state == State::file && !taken) {
            taken = std::move(candidate);
        } else if (candidate.state == State::file && named &&
                   (candidate.info.st_ino != taken->info.st_ino ||
                    candidate.info.st_dev != taken->info.st_dev)) {
            warnings.add(
                "dockerfileambiguous",
                std::format("--dockerfile={} names {} and, seen from the context, {}; the first is built",
                            dockerfile::shown(wish), dockerfile::shown(taken->path), dockerfile::shown(path)),
                "to build the other, give its path from the source's root");
        }
    }
    if (taken) {
        TRY_ASSIGN(std::string content, read_all(taken->fd.get(), dockerfile::Limits::content_bytes));
        return FoundDockerfile{.path = taken->path, .content = std::move(content)};
    }
    if (!folder.empty()) {
        return wrong_file(folder, dockerfile::shown(folder) + " is a directory, not a regular file",
                          "name the Dockerfile itself with --dockerfile");
    }
    std::string tried;
    for (const std::string& path : paths) {
        tried += (tried.empty() ? "" : ", ") + dockerfile::shown(path);
    }
    return wrong_file(
        paths.front(),
        named ? std::format("there is no {} in the source (tried {})", dockerfile::shown(wish), tried)
              : std::format("there is no Dockerfile or Containerfile in {} (tried {})", in(tree.context),
                            tried),
        suggestion(tree, paths.front(), named));
}

} // namespace slipway::steps
