#include "source/sparse.hpp"

#include <algorithm>

namespace slipway::source {
namespace {

constexpr std::size_t most_directories = 10'000;

std::unexpected<Error> invalid(const std::string& why) {
    return fail_usage("--sparse " + why, "name directories of the repository, relative to its root");
}

std::string_view parent_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

/// As git's patterns want a name: what has a meaning there gets a backslash.
std::string escaped(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (std::string_view("*?[]\\").contains(c)) {
            out += '\\';
        }
        out += c;
    }
    return out;
}

} // namespace

Result<SparseCone> SparseCone::of(const std::vector<std::string>& directories) {
    SparseCone cone;
    if (directories.size() > most_directories) {
        return invalid("names more than 10,000 directories");
    }
    std::set<std::string, std::less<>> wanted;
    for (const std::string& each : directories) {
        std::string clean;
        for (std::string_view rest = each; !rest.empty();) {
            const std::size_t end = std::min(rest.find('/'), rest.size());
            const std::string_view part = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (part == ".." ||
                std::ranges::any_of(part, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
                return invalid("takes no path with “..” or control characters");
            }
            if (!part.empty() && part != ".") {
                clean.append(clean.empty() ? "" : "/").append(part);
            }
        }
        if (clean.empty()) {
            return invalid("names no directory below the root");
        }
        wanted.insert(std::move(clean));
    }
    for (const std::string& each : wanted) {
        bool within = false;
        for (std::string_view above = parent_of(each); !above.empty() && !within; above = parent_of(above)) {
            within = wanted.contains(above);
        }
        if (!within) {
            cone.whole_.emplace(each, false);
            for (std::string_view above = parent_of(each); !above.empty(); above = parent_of(above)) {
                cone.parents_.emplace(above);
            }
        }
    }
    return cone;
}

bool SparseCone::contains(std::string_view path) {
    const std::string_view directory = parent_of(path);
    for (std::string_view above = path; !above.empty(); above = parent_of(above)) {
        if (const auto found = whole_.find(above); found != whole_.end()) {
            found->second = true; // a submodule may stand at the very place
            return true;
        }
    }
    return directory.empty() || parents_.contains(directory);
}

std::vector<std::string> SparseCone::missed() const {
    std::vector<std::string> names;
    for (const auto& [name, met] : whole_) {
        if (!met) {
            names.push_back(name);
        }
    }
    return names;
}

std::string SparseCone::patterns() const {
    std::string text = "/*\n!/*/\n";
    for (const std::string& parent : parents_) {
        text += "/" + escaped(parent) + "/\n!/" + escaped(parent) + "/*/\n";
    }
    for (const auto& [each, met] : whole_) {
        text += "/" + escaped(each) + "/\n";
    }
    return text;
}

} // namespace slipway::source
