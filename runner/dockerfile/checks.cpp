#include "dockerfile/checks.hpp"

#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <format>
#include <string>
#include <vector>

namespace slipway::dockerfile {
namespace {

constexpr auto letters = "abcdefghijklmnopqrstuvwxyz";
constexpr auto digits = "0123456789";

// Digits of `base` alone that fit into 32 bits, as Go's ParseUint has it.
bool is_number(std::string_view text, int base) {
    std::uint32_t out = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    return !text.empty() && failure == std::errc() && end == text.data() + text.size();
}

bool is_boolean(std::string_view text) {
    static constexpr std::array<std::string_view, 12> known = {"1", "t", "T", "true",  "TRUE",  "True",
                                                               "0", "f", "F", "false", "FALSE", "False"};
    return std::ranges::contains(known, text);
}

enum class Takes { nothing, text, octal, number, boolean, maybe_boolean, sharing, propagation, relabelling };

struct Key {
    std::string_view name;
    Takes takes = Takes::text;
};

struct MountType {
    std::string_view name;
    std::vector<Key> keys;
    bool needs_target = true;
};

const std::array<MountType, 5>& mount_types() {
    static const std::vector<Key> target = {{"target"}, {"dst"}, {"destination"}};
    static const std::vector<Key> switches = {{"nosuid", Takes::nothing},
                                              {"nodev", Takes::nothing},
                                              {"noexec", Takes::nothing},
                                              {"ro", Takes::nothing},
                                              {"readonly", Takes::nothing}};
    static const std::vector<Key> sharing = {{"rw", Takes::nothing},
                                             {"readwrite", Takes::nothing},
                                             {"Z", Takes::nothing},
                                             {"z", Takes::nothing},
                                             {"U", Takes::nothing},
                                             {"shared", Takes::nothing},
                                             {"rshared", Takes::nothing},
                                             {"private", Takes::nothing},
                                             {"rprivate", Takes::nothing},
                                             {"slave", Takes::nothing},
                                             {"rslave", Takes::nothing},
                                             {"bind-propagation", Takes::propagation},
                                             {"from"},
                                             {"source"},
                                             {"src"}};
    static const std::vector<Key> owner = {
        {"id"}, {"mode", Takes::octal}, {"uid", Takes::number}, {"gid", Takes::number}};
    const auto all = [](std::initializer_list<std::vector<Key>> parts) {
        std::vector<Key> out = {{"type"}};
        for (const auto& part : parts) {
            out.insert(out.end(), part.begin(), part.end());
        }
        return out;
    };
    static const std::array<MountType, 5> types = {{
        {"bind", all({target,
                      switches,
                      sharing,
                      {{"bind-nonrecursive", Takes::nothing},
                       {"no-dereference", Takes::nothing},
                       {"relabel", Takes::relabelling},
                       {"consistency"}}})},
        {"cache", all({target, switches, sharing, owner, {{"sharing", Takes::sharing}}})},
        {"secret", all({target, owner, {{"required", Takes::maybe_boolean}}}), false},
        {"ssh", all({target, owner, {{"required", Takes::boolean}}}), false},
        {"tmpfs", all({target, switches, {{"tmpcopyup", Takes::nothing}, {"tmpfs-mode"}, {"tmpfs-size"}}})},
    }};
    return types;
}

Fault mount_fault(std::string message, std::string hint, std::string_view fragment) {
    return {"RUN --mount: " + std::move(message), std::move(hint), std::string(fragment)};
}

Fault unknown_key(const MountType& type, std::string_view name, std::string_view field) {
    std::string hint;
    std::vector<std::string_view> known;
    for (const Key& key : type.keys) {
        known.push_back(key.name);
    }
    if (type.name == "secret" && name == "env") {
        hint = "buildah hands secrets over as files: read /run/secrets/… instead";
    } else if (type.name == "tmpfs" && name == "size") {
        hint = "buildah calls it tmpfs-size";
    } else if (const auto near = closest(name, known); !near.empty()) {
        hint = std::format("did you mean {}?", near);
    } else {
        hint = "known are";
        for (const Key& key : type.keys) {
            hint += std::format(" {}", key.name);
        }
    }
    return mount_fault(name.empty()
                           ? std::string("a comma has nothing behind it")
                           : std::format("buildah does not know \"{}\" with type={}", shown(name), type.name),
                       name.empty() ? "take the comma out" : std::move(hint), field);
}

std::optional<Fault> check_key(const Key& key, std::string_view value, bool has_value,
                               std::string_view field) {
    const auto bad = [&](std::string_view wanted) {
        return mount_fault(std::format("{} is not {}", shown(field), wanted),
                           std::format("write {}=…", key.name), field);
    };
    if (key.takes == Takes::nothing) {
        return has_value ? std::optional(mount_fault(std::format("{} takes no value", key.name),
                                                     std::format("write {} alone", key.name), field))
                         : std::nullopt;
    }
    if (key.takes == Takes::maybe_boolean && !has_value) {
        return std::nullopt;
    }
    if (!has_value || value.empty()) {
        return mount_fault(std::format("{} lacks its value", key.name), std::format("write {}=…", key.name),
                           field);
    }
    static constexpr std::array<std::string_view, 6> propagations = {"shared",   "rshared", "private",
                                                                     "rprivate", "slave",   "rslave"};
    switch (key.takes) {
    case Takes::octal: return is_number(value, 8) ? std::nullopt : std::optional(bad("an octal number"));
    case Takes::number: return is_number(value, 10) ? std::nullopt : std::optional(bad("a number"));
    case Takes::boolean:
    case Takes::maybe_boolean: return is_boolean(value) ? std::nullopt : std::optional(bad("true or false"));
    case Takes::sharing:
        return value == "locked" || value == "shared"
                   ? std::nullopt
                   : std::optional(mount_fault(std::format("buildah does not know {}", shown(field)),
                                               "write sharing=locked or sharing=shared", field));
    case Takes::propagation:
        return std::ranges::contains(propagations, value) ? std::nullopt
                                                          : std::optional(bad("a mount propagation"));
    case Takes::relabelling:
        return value == "private" || value == "shared" ? std::nullopt
                                                       : std::optional(bad("private or shared"));
    case Takes::text:
    case Takes::nothing: break;
    }
    return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> out;
    for (;;) {
        const std::size_t end = text.find(separator);
        out.push_back(text.substr(0, end));
        if (end == std::string_view::npos) {
            return out;
        }
        text.remove_prefix(end + 1);
    }
}

// Nanoseconds are 63 bits: 292 years.
constexpr double longest_duration = 9.2e18;

// Go's notation; nothing when it is none.
std::optional<double> duration(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, double>, 8> units = {{{"ns", 1},
                                                                                  {"us", 1e3},
                                                                                  {"µs", 1e3},
                                                                                  {"μs", 1e3},
                                                                                  {"ms", 1e6},
                                                                                  {"s", 1e9},
                                                                                  {"m", 6e10},
                                                                                  {"h", 3.6e12}}};
    double sign = 1;
    if (text.starts_with('-') || text.starts_with('+')) {
        sign = text.front() == '-' ? -1 : 1;
        text.remove_prefix(1);
    }
    if (text == "0") {
        return 0;
    }
    double total = 0;
    if (text.empty()) {
        return std::nullopt;
    }
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
        double number = 0;
        const std::string_view figures = text.substr(0, end);
        const auto [stop, failure] =
            std::from_chars(figures.begin(), figures.end(), number, std::chars_format::fixed);
        if (figures.empty() || failure != std::errc() || stop != figures.end()) {
            return std::nullopt;
        }
        text.remove_prefix(end);
        const std::string_view unit = text.substr(0, text.find_first_of("0123456789."));
        const auto* known = std::ranges::find(units, unit, &std::pair<std::string_view, double>::first);
        if (known == units.end()) {
            return std::nullopt;
        }
        total += number * known->second;
        text.remove_prefix(unit.size());
    }
    return total > longest_duration ? std::nullopt : std::optional(sign * total);
}

bool is_signal_name(std::string_view name) {
    static constexpr std::array<std::string_view, 41> known = {
        "ABRT", "ALRM", "BUS",   "CHLD",  "CLD",  "CONT",   "FPE",  "HUP",  "ILL",    "INT",    "IO",
        "IOT",  "KILL", "PIPE",  "POLL",  "PROF", "PWR",    "QUIT", "SEGV", "STKFLT", "STOP",   "SYS",
        "TERM", "TRAP", "TSTP",  "TTIN",  "TTOU", "UNUSED", "URG",  "USR1", "USR2",   "VTALRM", "WINCH",
        "XCPU", "XFSZ", "RTMIN", "RTMAX", "BUG",  "EMT",    "INFO", "LWP"};
    if (std::ranges::contains(known, name)) {
        return true;
    }
    const bool above = name.starts_with("RTMIN+");
    if (!above && !name.starts_with("RTMAX-")) {
        return false;
    }
    int offset = 0;
    const auto [end, failure] = std::from_chars(name.data() + 6, name.data() + name.size(), offset);
    return failure == std::errc() && end == name.data() + name.size() && offset >= 1 &&
           offset <= (above ? 15 : 14) && name[6] != '0';
}

// Lower-case letters and digits, with one of `.`, `_`, `__` or any number of `-` between them.
bool is_path_component(std::string_view text) {
    const std::string word = std::string(letters) + digits;
    for (;;) {
        const std::size_t end = text.find_first_not_of(word);
        if (end == 0 || text.empty()) {
            return false;
        }
        if (end == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(end);
        const std::size_t next = std::min(text.find_first_of(word), text.size());
        const std::string_view between = text.substr(0, next);
        if (between != "." && between != "_" && between != "__" &&
            between.find_first_not_of('-') != std::string_view::npos) {
            return false;
        }
        text.remove_prefix(next);
    }
}

} // namespace

std::optional<Fault> check_mode(std::string_view flag, std::string_view value) {
    if (is_number(value, 8)) {
        return std::nullopt;
    }
    return Fault{std::format("{}={} is no octal number", flag, shown(value)),
                 "write it like 0755: buildah knows no u+x", std::string(flag)};
}

std::optional<Fault> check_switch(std::string_view keyword, const Flag& flag, std::string_view value) {
    const std::string name = "--" + flag.name;
    if (flag.has_value && value == "false") {
        return std::nullopt;
    }
    if (flag.has_value && value != "true") {
        return Fault{std::format("{} {}={} is neither true nor false", keyword, name, shown(value)),
                     std::format("leave {} out", name), name};
    }
    std::string hint = "leave it out: buildah copies without it just as well";
    if (flag.name == "parents") {
        hint = "leave it out, and name the folder in the destination";
    } else if (flag.name == "keep-git-dir") {
        hint = "leave it out: buildah adds no git repositories";
    }
    return Fault{std::format("buildah cannot do {} {}", keyword, name), std::move(hint), name};
}

std::optional<Fault> check_network(std::string_view value) {
    if (value == "default" || value == "none" || value == "host") {
        return std::nullopt;
    }
    return Fault{std::format("RUN --network={} is not known", shown(value)), "it is default, none or host",
                 "--network"};
}

std::optional<Fault> check_mount(std::string_view text) {
    const std::vector<std::string_view> fields = split(text, ',');
    std::string_view wanted = "bind";
    for (const std::string_view field : fields) {
        if (field.starts_with("type=")) {
            wanted = field.substr(5);
        }
    }
    const auto* type = std::ranges::find(mount_types(), wanted, &MountType::name);
    if (type == mount_types().end()) {
        return mount_fault(std::format("buildah does not know type={}", shown(wanted)),
                           "it is bind, cache, secret, ssh or tmpfs", "type=");
    }
    bool target = false;
    bool id = false;
    for (const std::string_view field : fields) {
        const std::size_t equals = field.find('=');
        const std::string_view name = field.substr(0, equals);
        const bool has_value = equals != std::string_view::npos;
        const std::string_view value = has_value ? field.substr(equals + 1) : std::string_view{};
        const auto key = std::ranges::find(type->keys, name, &Key::name);
        if (key == type->keys.end()) {
            return unknown_key(*type, name, field.empty() ? "," : field);
        }
        if (auto wrong = check_key(*key, value, has_value, field)) {
            return wrong;
        }
        target = target || name == "target" || name == "dst" || name == "destination";
        id = id || name == "id";
    }
    if (type->needs_target && !target) {
        return mount_fault("it does not say where to mount", "add target=/path", "--mount");
    }
    if (type->name == "secret" && !id) {
        return mount_fault("the secret has no id", "add id=name: buildah does not take it from the target",
                           "type=secret");
    }
    return std::nullopt;
}

std::optional<Fault> check_platform(std::string_view value) {
    const std::vector<std::string_view> parts = split(value, '/');
    const bool sound = parts.size() <= 3 && std::ranges::all_of(parts, [](std::string_view part) {
                           return !part.empty() && std::ranges::all_of(part, [](char c) {
                               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                      (c >= '0' && c <= '9') || c == '_' || c == '-';
                           });
                       });
    if (sound) {
        return std::nullopt;
    }
    return Fault{value.empty() ? std::string("FROM --platform is empty once its variables are filled in")
                               : std::format("FROM --platform={} is no platform", shown(value)),
                 "write os/architecture, such as linux/amd64", "--platform"};
}

std::optional<Fault> check_health_flag(const Flag& flag) {
    if (flag.value.empty()) {
        return std::nullopt;
    }
    const std::string name = "--" + flag.name;
    if (flag.name == "retries") {
        std::string_view text = flag.value;
        text.remove_prefix(text.starts_with('+') ? 1 : 0);
        std::int32_t number = 0;
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (failure == std::errc() && end == text.data() + text.size() && number >= 1) {
            return std::nullopt;
        }
        return Fault{std::format("HEALTHCHECK --retries={} is no number from 1", shown(flag.value)),
                     "write it like --retries=3; variables do not work here", name};
    }
    const auto time = duration(flag.value);
    if (!time) {
        return Fault{
            std::format("HEALTHCHECK {}={} is no duration", name, shown(flag.value)),
            std::format("write a number and ms, s, m or h: {}=30s; variables do not work here", name), name};
    }
    if (*time < 1) {
        return Fault{std::format("HEALTHCHECK {}={} is not positive", name, shown(flag.value)),
                     "leave it out for the default", name};
    }
    return std::nullopt;
}

std::optional<Fault> check_signal(std::string_view value) {
    std::string_view number = value;
    number.remove_prefix(number.starts_with('+') || number.starts_with('-') ? 1 : 0);
    if (!number.empty() && number.find_first_not_of(digits) == std::string_view::npos) {
        if (number.find_first_not_of('0') != std::string_view::npos) {
            return std::nullopt;
        }
    } else {
        const std::string upper = to_upper(value);
        std::string_view name = upper;
        name.remove_prefix(name.starts_with("SIG") ? 3 : 0);
        if (is_signal_name(name)) {
            return std::nullopt;
        }
    }
    return Fault{std::format("STOPSIGNAL {} is no signal", shown(value)),
                 "write a name or a number, such as SIGTERM or 15",
                 {}};
}

bool could_be_image(std::string_view name) {
    if (name.contains(":/") || name.starts_with("oci:") || name.starts_with("oci-archive:") ||
        name.starts_with("docker-archive:") || name.starts_with("dir:") ||
        name.starts_with("containers-storage:")) {
        return true;
    }
    name = name.substr(0, name.find('@'));
    const std::size_t slash = name.rfind('/');
    const std::size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
    if (colon != std::string_view::npos) {
        const std::string_view tag = name.substr(colon + 1);
        const bool sound = !tag.empty() && tag.size() <= 128 && !tag.starts_with('.') &&
                           !tag.starts_with('-') && std::ranges::all_of(tag, [](char c) {
                               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                      (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                           });
        if (!sound) {
            return false;
        }
        name = name.substr(0, colon);
    }
    std::vector<std::string_view> parts = split(name, '/');
    const std::string_view first = parts.front();
    if (parts.size() > 1 &&
        (first.contains('.') || first.contains(':') || first == "localhost" || first != to_lower(first))) {
        parts.erase(parts.begin()); // a registry's address
    }
    return std::ranges::all_of(parts, is_path_component);
}

} // namespace slipway::dockerfile
