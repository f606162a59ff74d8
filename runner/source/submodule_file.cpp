#include "source/submodule_file.hpp"

#include "source/config_text.hpp"
#include "source/library.hpp"

#include <algorithm>
#include <format>
#include <functional>
#include <map>

namespace slipway::source {
namespace {

std::unexpected<Error> refused(std::string message, std::string hint = "mend .gitmodules") {
    Error error = make_error(ErrorClass::build, code::git_failure, std::move(message), std::move(hint));
    error.where = Where{.file = ".gitmodules", .line = 0, .column = 0, .quote = {}};
    return fail(std::move(error));
}

std::string without_final_slashes(std::string_view path) {
    while (path.size() > 1 && path.ends_with('/')) {
        path.remove_suffix(1);
    }
    return std::string(path);
}

bool control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

} // namespace

Result<std::vector<Submodule>> parse_gitmodules(std::string_view text) {
    Result<std::vector<ConfigEntry>> entries = parse_config(text);
    if (!entries) {
        return refused(".gitmodules cannot be read: " + entries.error().cause);
    }
    std::vector<Submodule> found;
    std::map<std::string, std::size_t, std::less<>> place;
    for (const ConfigEntry& entry : *entries) {
        if (entry.section != "submodule") {
            continue;
        }
        const auto [at, is_new] = place.emplace(entry.subsection, found.size());
        if (is_new) {
            found.push_back({.name = entry.subsection, .path = {}, .url = {}});
        }
        Submodule& submodule = found[at->second];
        if (entry.name == "path" && submodule.path.empty()) {
            submodule.path = without_final_slashes(entry.value);
        } else if (entry.name == "url" && submodule.url.empty()) {
            submodule.url = entry.value;
        } else if (entry.name == "update") {
            submodule.never = entry.value == "none";
        }
    }
    std::vector<Submodule> kept;
    for (Submodule& each : found) {
        const auto same = std::ranges::find(kept, each.path, &Submodule::path);
        if (each.path.empty()) {
            continue;
        }
        if (same == kept.end()) {
            kept.push_back(std::move(each));
        } else {
            *same = std::move(each);
        }
    }
    return kept;
}

Status check_submodule_name(std::string_view name) {
    bool sound = !name.empty() && name.size() <= 1024 && std::ranges::none_of(name, control);
    std::size_t start = 0;
    while (sound && start <= name.size()) { // a backslash parts components elsewhere, so it does here
        const std::size_t end = std::min(name.find_first_of("/\\", start), name.size());
        const std::string_view component = name.substr(start, end - start);
        sound = !component.empty() && component != "." && component != ".." && component.size() <= 255;
        start = end + 1;
    }
    if (!sound) {
        return refused(std::format("a submodule may not be named “{}”", clean_line(name, 128)),
                       "its name is used as a path below .git/modules");
    }
    return {};
}

Result<std::string> resolve_submodule_url(std::string_view url, std::string_view parent) {
    if (!url.starts_with("./") && !url.starts_with("../")) {
        return std::string(url);
    }
    std::string base = without_final_slashes(parent);
    const std::size_t scheme = base.find("://");
    // Nothing may be taken away of "https://host" or of scp's "user@host".
    const std::size_t floor = scheme == std::string::npos ? 0 : base.find('/', scheme + 3);
    const std::string_view whole = url;
    char border = '/';
    while (url.starts_with("./") || url.starts_with("../")) {
        if (url.starts_with("./")) {
            url.remove_prefix(2);
            continue;
        }
        url.remove_prefix(3);
        std::size_t cut = base.rfind('/');
        if (cut == std::string::npos || (scheme != std::string::npos && cut < floor)) {
            cut = scheme == std::string::npos && border == '/' ? base.rfind(':') : std::string::npos;
            border = ':';
        }
        if (cut == std::string::npos || floor == std::string::npos) {
            return refused(std::format("the submodule URL {} leads above its host", clean_line(whole, 256)));
        }
        base.resize(cut);
    }
    if (url == "..") {
        return refused(std::format("the submodule URL {} names no repository", clean_line(whole, 256)));
    }
    return without_final_slashes(base + border + std::string(url));
}

Status check_submodule_url(const GitUrl& url, GitUrl::Scheme parent) {
    if (url.scheme == GitUrl::Scheme::file && parent != GitUrl::Scheme::file) {
        return refused("a submodule of a remote repository may not be a local one: " + url.clean,
                       "give the submodule a URL that others can reach as well");
    }
    return {};
}

bool submodule_is_wanted(const std::vector<std::string>& wanted, std::string_view path) {
    return wanted.empty() || std::ranges::any_of(wanted, [path](const std::string& each) {
               std::string_view start = each;
               while (start.starts_with("./")) {
                   start.remove_prefix(2);
               }
               const std::string top = without_final_slashes(start);
               return top == "." || path == top || (path.starts_with(top) && path[top.size()] == '/');
           });
}

} // namespace slipway::source
