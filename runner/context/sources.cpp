#include "context/sources.hpp"

#include "context/glob.hpp"
#include "context/go_glob.hpp"
#include "context/inside.hpp"
#include "context/text.hpp"
#include "context/tree.hpp"

#include <algorithm>
#include <fcntl.h>
#include <optional>

namespace slipway::context {

namespace {

constexpr int most_links = 16;                 // buildah's
constexpr std::size_t names_looked_at = 5'000; // for a suggestion
constexpr std::uint64_t entries_searched = 50'000;

/// What buildah's loop for links at the end of a path comes to: target by target, each joined lexically.
std::optional<std::string> follow(int context, std::string path, Kind& kind) {
    kind = look_inside(context, path);
    for (int i = 0; kind == Kind::symlink; ++i) {
        const std::string target = read_link(context, path);
        if (i == most_links || target.empty()) {
            return std::nullopt;
        }
        const std::size_t slash = path.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
        path = clean_path(target.starts_with('/') ? target : '/' + parent + '/' + target).substr(1);
        kind = look_inside(context, path);
    }
    return path;
}

} // namespace

std::string Sources::place(std::string_view source, bool* climbs) const {
    // Below its own context a path may climb out and come back by the context's name.
    const std::string joined = clean_path(path_ + '/' + std::string(source));
    const std::string_view root = path_ == "/" ? std::string_view() : std::string_view(path_);
    if (joined == path_) {
        return {};
    }
    if (joined.starts_with(root) && joined[root.size()] == '/') {
        return joined.substr(root.size() + 1);
    }
    if (climbs != nullptr) {
        *climbs = true;
    }
    return std::filesystem::path(
               clean_path('/' + std::filesystem::path(joined).lexically_relative(path_).string()))
        .relative_path()
        .string();
}

/// One path that a source came to.
struct Sources::Item {
    enum class State { copied, nothing, dead_link, link_excluded } state = State::copied;
    std::string path;
    int line = 0;
};

Result<Sources::Item> Sources::examine(const IgnoreRules& rules, const std::string& path) const {
    if (path.empty()) {
        return Item{.path = path};
    }
    const auto excluded = rules.verdict(path);
    Kind kind = Kind::missing;
    const auto end = follow(context_, path, kind);
    if (excluded.excluded && (kind != Kind::directory || !rules.enters_named(path))) {
        return Item{.state = Item::State::nothing, .path = path, .line = excluded.line};
    }
    if (!end || kind == Kind::missing) {
        return Item{.state = Item::State::dead_link, .path = end.value_or(path)};
    }
    if (kind != Kind::directory) {
        const auto behind = rules.verdict(*end);
        return Item{.state = behind.excluded ? Item::State::link_excluded : Item::State::copied,
                    .path = *end,
                    .line = behind.line};
    }
    if (!excluded.excluded) {
        return Item{.path = *end};
    }
    bool any = false;
    TRY_ASSIGN(const Tally tally, walk(context_, *end, rules, stop_, [&](std::string_view) {
                   any = true;
                   return false;
               }));
    // A walk cut short by a limit has seen nothing for certain.
    return Item{.state = any || !tally.complete ? Item::State::copied : Item::State::nothing,
                .path = path,
                .line = excluded.line};
}

Result<std::vector<Finding>> Sources::copied(const std::vector<std::string>& sources,
                                             const std::vector<std::string>& excludes) const {
    IgnoreRules rules = rules_;
    for (const std::string& pattern : excludes) {
        rules.exclude(pattern);
    }
    std::vector<Finding> findings;
    if (rules.malformed() || rules.unread()) {
        return findings; // said where the rules were read
    }

    bool matched = false;
    std::vector<Finding> unmatched;
    for (const std::string& source : sources) {
        if (stop_.requested()) {
            return fail(stop_.error());
        }
        bool climbs = false;
        const std::string path = place(source, &climbs);
        const auto found = glob_inside(context_, path, stop_);
        if (!found) {
            return std::vector<Finding>(); // too much to say anything
        }
        if (found->empty()) {
            if (path.find_first_of("*?[") != std::string::npos) {
                unmatched.push_back({.kind = Finding::Kind::no_match, .source = source, .path = path});
            } else {
                findings.push_back({.kind = Finding::Kind::missing, .source = source, .path = path});
            }
            continue;
        }
        matched = true;
        if (climbs) {
            findings.push_back({.kind = Finding::Kind::climbs, .source = source, .path = path});
        }
        std::optional<Item> wrong;
        bool any = false;
        for (const std::string& match : *found) {
            TRY_ASSIGN(Item item, examine(rules, match));
            any = any || item.state == Item::State::copied;
            // A bad link ends the build whatever else is copied; an excluded path only if nothing is.
            if (item.state == Item::State::dead_link || item.state == Item::State::link_excluded) {
                const bool dead = item.state == Item::State::dead_link;
                findings.push_back({.kind = dead ? Finding::Kind::dead_link : Finding::Kind::link_excluded,
                                    .source = source,
                                    .path = item.path,
                                    .line = item.line});
                any = true;
                break;
            }
            if (item.state == Item::State::nothing && !wrong) {
                wrong = std::move(item);
            }
        }
        if (!any && wrong) {
            findings.push_back({.kind = Finding::Kind::excluded,
                                .source = source,
                                .path = wrong->path,
                                .line = wrong->line});
        }
    }
    return !matched && findings.empty() ? unmatched : findings;
}

std::vector<Finding> Sources::mounted(const std::string& source) const {
    bool climbs = false;
    const std::string path = place(source, &climbs);
    if (!open_inside(context_, path, O_PATH).fd) {
        return {{.kind = Finding::Kind::missing, .source = source, .path = path}};
    }
    if (climbs) {
        return {{.kind = Finding::Kind::climbs, .source = source, .path = path}};
    }
    return {};
}

Neighbours neighbours(int context, std::string_view path) {
    Neighbours found;
    while (true) {
        const std::size_t slash = path.find('/');
        found.component = std::string(path.substr(0, slash));
        const std::string deeper =
            found.directory.empty() ? found.component : found.directory + '/' + found.component;
        if (slash == std::string_view::npos || !open_inside(context, deeper, O_PATH | O_DIRECTORY).fd) {
            break;
        }
        found.directory = deeper;
        path.remove_prefix(slash + 1);
    }
    found.names = names_in(context, found.directory, names_looked_at);
    return found;
}

std::vector<std::string> same_name(int context, std::string_view path, std::size_t most,
                                   const StopToken& stop) {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    std::vector<std::string> found;
    const auto compare = [&](std::string_view other) {
        other = other.ends_with('/') ? other.substr(0, other.size() - 1) : other;
        if (other.substr(other.rfind('/') + 1) == name) {
            found.emplace_back(other);
        }
        return found.size() < most;
    };
    (void)walk(context, "", IgnoreRules(), stop, compare, {.entries = entries_searched});
    return found;
}

} // namespace slipway::context
