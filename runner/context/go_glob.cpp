#include "context/go_glob.hpp"

#include "context/glob.hpp"
#include "context/inside.hpp"
#include "context/tree.hpp"

#include <algorithm>
#include <fcntl.h>

namespace slipway::context {

namespace {

constexpr std::size_t most_paths = 100'000;   // matches, directories below a `**`, names in one directory
constexpr std::size_t most_work = 50'000'000; // bytes of pattern held against bytes of names

std::string join(std::string_view directory, std::string_view name) {
    return directory.empty() ? std::string(name) : std::string(directory) + '/' + std::string(name);
}

std::vector<std::string_view> components(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        parts.push_back(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    }
    return parts;
}

class Globber {
  public:
    Globber(int context, const StopToken& stop) : context_(context), stop_(stop) {}

    /// Go expands from the left: each component against what the ones before it matched.
    std::vector<std::string> run(std::string_view pattern) {
        std::vector<std::string> found{""};
        bool plain_so_far = true;
        const auto parts = components(pattern);
        for (std::size_t i = 0; i < parts.size() && !found.empty() && !limited_; ++i) {
            const bool last = i + 1 == parts.size();
            if (parts[i] == "**") {
                // buildah walks the directory that what stands before spells; a pattern spells none.
                found = plain_so_far ? directories_below(found) : std::vector<std::string>();
                continue;
            }
            const bool glob = is_glob(parts[i]);
            plain_so_far = plain_so_far && !glob;
            std::vector<std::string> next;
            for (const std::string& directory : found) {
                if (glob) {
                    match_names(directory, parts[i], next);
                } else {
                    next.push_back(join(directory, parts[i]));
                }
            }
            // A plain path is looked at once, at its end; links above it are followed.
            if (!glob && last) {
                std::erase_if(next, [&](const std::string& path) {
                    return look_inside(context_, path) == Kind::missing;
                });
            }
            found = std::move(next);
        }
        return found;
    }

    [[nodiscard]] bool limited() const { return limited_; }

  private:
    void match_names(const std::string& directory, std::string_view pattern,
                     std::vector<std::string>& found) {
        const auto names = names_in(context_, directory, most_paths);
        for (const std::string& name : names) {
            work_ += pattern.size() + name.size();
            if (glob_match(pattern, name) == GlobMatch::yes) {
                found.push_back(join(directory, name));
            }
        }
        check(std::max(names.size(), found.size()));
    }

    std::vector<std::string> directories_below(const std::vector<std::string>& starts) {
        std::vector<std::string> found;
        for (const std::string& start : starts) {
            if (look_inside(context_, start) != Kind::directory) {
                continue;
            }
            found.push_back(start);
            const auto collect = [&](std::string_view path) {
                if (path.ends_with('/')) {
                    found.emplace_back(path.substr(0, path.size() - 1));
                }
                return found.size() <= most_paths;
            };
            const auto tally = walk(context_, start, IgnoreRules(), stop_, collect);
            limited_ = limited_ || !tally || !tally->complete;
        }
        std::ranges::sort(found);
        found.erase(std::ranges::unique(found).begin(), found.end());
        return found;
    }

    void check(std::size_t count) {
        limited_ = limited_ || count >= most_paths || work_ > most_work || stop_.requested();
    }

    int context_;
    const StopToken& stop_;
    std::size_t work_ = 0;
    bool limited_ = false;
};

/// Go reads the whole pattern first. A component it cannot read makes all of it match nothing.
bool readable(std::string_view pattern) {
    return glob_match(pattern, "") != GlobMatch::malformed;
}

} // namespace

std::optional<std::vector<std::string>> glob_inside(int context, std::string_view pattern,
                                                    const StopToken& stop) {
    if (!readable(pattern)) {
        return std::vector<std::string>();
    }
    Globber globber(context, stop);
    auto found = globber.run(pattern);
    return globber.limited() ? std::nullopt : std::optional(std::move(found));
}

} // namespace slipway::context
