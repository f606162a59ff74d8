#include "dockerfile/scope.hpp"

#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace slipway::dockerfile {
namespace {

constexpr std::size_t budget_bytes = std::size_t{64} << 20U;

struct Platform {
    std::string os;
    std::string architecture;
    std::string variant;

    [[nodiscard]] std::string text() const {
        return variant.empty() ? os + "/" + architecture : os + "/" + architecture + "/" + variant;
    }
};

Result<Platform> read_platform(std::string_view text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == '/') {
            parts.emplace_back();
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.') {
            parts.back() += c;
        } else {
            parts.clear();
            break;
        }
    }
    if (parts.size() < 2 || parts.size() > 3 || std::ranges::contains(parts, std::string())) {
        return fail(ErrorClass::usage, code::missing_or_invalid_argument,
                    std::format("\"{}\" is no platform", shown(text)),
                    "write os/architecture, such as linux/amd64");
    }
    Platform out{parts[0], parts[1], parts.size() == 3 ? parts[2] : std::string()};
    if (out.architecture == "x86_64" || out.architecture == "x86-64") {
        out.architecture = "amd64";
    } else if (out.architecture == "aarch64") {
        out.architecture = "arm64";
    }
    return out;
}

void add_platform(Globals& globals, const std::string& prefix, const Platform& platform) {
    globals.platform[prefix + "PLATFORM"] = platform.text();
    globals.platform[prefix + "OS"] = platform.os;
    globals.platform[prefix + "ARCH"] = platform.architecture;
    globals.platform[prefix + "VARIANT"] = platform.variant;
}

template <class Map> std::optional<std::string> find_in(const Map& map, std::string_view name) {
    const auto found = map.find(name);
    return found == map.end() ? std::nullopt : std::optional<std::string>(found->second);
}

} // namespace

bool is_predefined(std::string_view name) noexcept {
    static constexpr std::array<std::string_view, 11> names = {
        "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY",        "ftp_proxy",
        "NO_PROXY",   "no_proxy",   "ALL_PROXY",   "all_proxy",   "SOURCE_DATE_EPOCH"};
    return std::ranges::contains(names, name);
}

Result<Globals> make_globals(const PlanOptions& options) {
    Globals out;
    TRY_ASSIGN(const Platform target, read_platform(options.platform));
    TRY_ASSIGN(const Platform build,
               read_platform(options.build_platform.empty() ? options.platform : options.build_platform));
    add_platform(out, "TARGET", target);
    add_platform(out, "BUILD", build);
    for (const auto& [name, value] : options.predefined) {
        out.predefined[name] = value;
    }
    for (const auto& [name, value] : options.build_args) {
        out.build_args[name] = value;
        if (is_predefined(name)) {
            out.predefined[name] = value;
        }
    }
    return out;
}

std::optional<std::string> argument_value(const Globals& globals, std::string_view name,
                                          const std::optional<std::string>& fallback) {
    if (auto given = find_in(globals.build_args, name)) {
        return given;
    }
    // A default for TARGETARCH and its like is ignored, as buildah does.
    if (auto platform = find_in(globals.platform, name)) {
        return platform;
    }
    if (fallback) {
        return fallback;
    }
    const auto heading = globals.heading.find(name);
    if (heading != globals.heading.end() && heading->second) {
        return heading->second;
    }
    return find_in(globals.predefined, name);
}

std::size_t Scope::bytes() const {
    constexpr std::size_t each = 100; // what a map's node takes, roughly
    std::size_t out = 0;
    for (const auto& [name, value] : env_) {
        out += each + name.size() + value.size();
    }
    for (const auto& [name, value] : args_) {
        out += each + name.size() + (value ? value->size() : 0);
    }
    return out;
}

std::optional<std::string> Scope::value(const Globals& globals, std::string_view name) const {
    const std::string key(name);
    if (const auto found = env_.find(key); found != env_.end()) {
        return found->second;
    }
    if (const auto found = args_.find(key); found != args_.end()) {
        return found->second;
    }
    return find_in(globals.predefined, name);
}

std::optional<std::string> heading_value(const Globals& globals, std::string_view name) {
    const auto found = globals.heading.find(name);
    if (found != globals.heading.end()) {
        return found->second;
    }
    return find_in(globals.platform, name);
}

Result<Expansion> expand_budgeted(Globals& globals, std::string_view text, const Lookup& lookup) {
    // buildah resolves variables with the backslash whatever the escape directive says.
    TRY_ASSIGN(Expansion out, expand(text, lookup, {.escape = '\\'}));
    globals.expanded_bytes += out.text.size();
    if (globals.expanded_bytes > budget_bytes) {
        return fail(ErrorClass::build, code::dockerfile_issue,
                    "the file's variables expand to more than 64 MiB", "shorten what the variables hold");
    }
    return out;
}

} // namespace slipway::dockerfile
