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
        return fail_usage(std::format("\"{}\" is no platform", shown(text)),
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

void add_platform(std::map<std::string, std::string, std::less<>>& into, const std::string& prefix,
                  const Platform& platform) {
    into[prefix + "PLATFORM"] = platform.text();
    into[prefix + "OS"] = platform.os;
    into[prefix + "ARCH"] = platform.architecture;
    into[prefix + "VARIANT"] = platform.variant;
}

template <class Map> std::optional<std::string> find_in(const Map& map, std::string_view name) {
    const auto found = map.find(name);
    return found == map.end() ? std::nullopt : std::optional<std::string>(found->second);
}

} // namespace

bool is_predefined(std::string_view name) noexcept {
    static constexpr std::array<std::string_view, 8> names = {"HTTP_PROXY",  "http_proxy", "HTTPS_PROXY",
                                                              "https_proxy", "FTP_PROXY",  "ftp_proxy",
                                                              "NO_PROXY",    "no_proxy"};
    return std::ranges::contains(names, name);
}

bool is_fixed(std::string_view name) noexcept {
    return name == "TARGETPLATFORM" || name == "BUILDPLATFORM";
}

Result<Globals> make_globals(const PlanOptions& options) {
    Globals out;
    TRY_ASSIGN(const Platform target, read_platform(options.platform));
    TRY_ASSIGN(const Platform build,
               read_platform(options.build_platform.empty() ? options.platform : options.build_platform));
    add_platform(out.platform, "TARGET", target);
    add_platform(out.platform, "BUILD", build);
    add_platform(out.build_platform, "TARGET", build);
    add_platform(out.build_platform, "BUILD", build);
    for (const auto& [name, value] : options.build_args) {
        // buildah takes the target's platform from --platform alone.
        if (name != "TARGETPLATFORM") {
            out.build_args[name] = value;
        }
    }
    return out;
}

void Scope::declare(const Globals& globals, std::string name, const std::optional<std::string>& fallback) {
    std::optional<std::string> value = find_in(globals.build_args, name);
    if (!value) {
        value = find_in(globals.platform, name);
    }
    if (!value) {
        value = fallback;
    }
    if (!value) {
        const auto heading = globals.heading.find(name);
        value = heading == globals.heading.end() ? std::nullopt : heading->second;
    }
    const auto [place, fresh] = args_.try_emplace(std::move(name), value);
    if (!fresh && value) {
        place->second = std::move(value);
    }
}

std::optional<std::string> Scope::value(const Globals& globals, std::string_view name) const {
    if (const auto found = env_.find(name); found != env_.end()) {
        return found->second;
    }
    if (const std::string* inherited = inherited_.find(name)) {
        return *inherited;
    }
    return argument(globals, name);
}

std::optional<std::string> Scope::argument(const Globals& globals, std::string_view name) const {
    if (const auto found = args_.find(std::string(name)); found != args_.end()) {
        return found->second;
    }
    return is_predefined(name) ? find_in(globals.build_args, name) : std::nullopt;
}

std::optional<std::string> heading_argument(const Globals& globals, std::string_view name) {
    const auto found = globals.heading.find(name);
    if (found != globals.heading.end()) {
        return found->second;
    }
    return is_predefined(name) ? find_in(globals.build_args, name) : std::nullopt;
}

void declare_heading(Globals& globals, const std::string& name, std::optional<std::string> fallback) {
    std::optional<std::string> value = find_in(globals.build_args, name);
    if (!value) {
        value = find_in(globals.build_platform, name);
    }
    if (!value) {
        value = std::move(fallback);
    }
    const auto [place, fresh] = globals.heading.try_emplace(name, value);
    if (!fresh && value) {
        place->second = std::move(value);
    }
}

std::optional<std::string> from_value(const Globals& globals, std::string_view name) {
    const auto heading = globals.heading.find(name);
    if (heading != globals.heading.end()) {
        if (auto given = find_in(globals.build_args, name)) {
            return given;
        }
    }
    if (auto platform = find_in(globals.platform, name)) {
        return platform;
    }
    return heading_argument(globals, name);
}

std::optional<std::string> dependency_value(const Globals& globals, std::string_view name) {
    if (auto platform = find_in(globals.platform, name)) {
        return platform;
    }
    if (auto given = find_in(globals.build_args, name)) {
        return given;
    }
    return heading_argument(globals, name);
}

Result<Expansion> expand_budgeted(Globals& globals, std::string_view text, const Lookup& lookup) {
    TRY_ASSIGN(Expansion out, expand(text, lookup, {.escape = globals.escape}));
    globals.expanded_bytes += out.text.size();
    if (globals.expanded_bytes > budget_bytes) {
        return fail(ErrorClass::build, code::dockerfile_issue,
                    "the file's variables expand to more than 64 MiB", "shorten what the variables hold");
    }
    return out;
}

} // namespace slipway::dockerfile
