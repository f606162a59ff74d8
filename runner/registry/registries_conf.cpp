#include "registry/registries_conf.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"

#include <algorithm>

// The library's own compiled half is a shared object in Debian; a static binary takes the headers alone.
#ifndef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 1
#endif
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.hpp>

namespace slipway::registry {

namespace fs = std::filesystem;

namespace {

std::string trimmed(std::string text) {
    while (text.ends_with('/')) {
        text.pop_back();
    }
    return text;
}

/// Does `name` ("host/a/b") lie at or below `prefix`? "*.example.com" covers every host below, with any path.
bool covers(std::string_view prefix, std::string_view name) {
    if (prefix.starts_with("*.")) {
        const auto host = name.substr(0, name.find_first_of("/:"));
        return host.ends_with(prefix.substr(1)) && host.size() > prefix.size() - 1;
    }
    return name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/');
}

/// Number of the first line that opens a table without a name ("[[[", "[=…"), 0 = none. The TOML library
/// answers such a line with a failed assertion, not with an error.
int nameless_table(std::string_view text) {
    for (int number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (!line.starts_with('[')) {
            continue;
        }
        line.remove_prefix(line.starts_with("[[") ? 2 : 1);
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        constexpr std::string_view first_of_name =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-\"'";
        if (line.empty() || !first_of_name.contains(line.front())) {
            return number;
        }
    }
    return 0;
}

std::pair<std::string, std::string> split(std::string_view name) {
    const auto slash = std::min(name.find('/'), name.size());
    return {std::string(name.substr(0, slash)),
            std::string(slash < name.size() ? name.substr(slash + 1) : std::string_view())};
}

Endpoint endpoint(std::string_view name, bool insecure, bool mirror) {
    auto [registry, repository] = split(name);
    return {std::move(registry), std::move(repository), insecure, mirror};
}

} // namespace

Status RegistriesConf::add(std::string_view text, std::string_view name) {
    const auto invalid = [&](const std::string& why) {
        return fail_usage(std::string(name) + " is not a usable registries.conf: " + why,
                          "see containers-registries.conf(5), version 2");
    };
    if (const int line = nameless_table(text); line != 0) {
        return invalid("a table without a name (line " + std::to_string(line) + ")");
    }
    toml::table root;
    try {
        root = toml::parse(text, name);
    } catch (const toml::parse_error& error) {
        return invalid(std::string(error.description()) + " (line " +
                       std::to_string(error.source().begin.line) + ")");
    }
    if (root["registries"].is_table()) {
        return invalid("it is written in the old version 1 form");
    }
    if (const toml::array* search = root["unqualified-search-registries"].as_array(); search != nullptr) {
        search_.clear(); // a later file's list replaces an earlier one's
        for (const toml::node& node : *search) {
            const auto host = node.value<std::string>();
            if (!host || !parse_reference(trimmed(*host) + "/x")) {
                return invalid("unqualified-search-registries holds something that is no registry");
            }
            search_.push_back(trimmed(*host));
        }
    }
    if (const toml::table* aliases = root["aliases"].as_table(); aliases != nullptr) {
        for (const auto& [alias, node] : *aliases) {
            const auto target = node.value<std::string>();
            if (!target || (!target->empty() && !parse_reference(*target))) {
                return invalid("the alias \"" + one_line(alias.str(), 100) + "\" names no image");
            }
            aliases_.insert_or_assign(std::string(alias.str()), *target);
        }
    }
    const toml::array* list = root["registry"].as_array();
    if (list == nullptr) {
        return {};
    }
    for (const toml::node& node : *list) {
        const toml::table* table = node.as_table();
        if (table == nullptr) {
            return invalid("[[registry]] is not a table");
        }
        Rule rule;
        rule.location = trimmed((*table)["location"].value_or(std::string()));
        rule.prefix = trimmed((*table)["prefix"].value_or(rule.location));
        if (rule.prefix.empty()) {
            return invalid("a [[registry]] has neither prefix nor location");
        }
        if (rule.location.empty() && !rule.prefix.starts_with("*.")) {
            rule.location = rule.prefix;
        }
        rule.insecure = (*table)["insecure"].value_or(false);
        rule.blocked = (*table)["blocked"].value_or(false);
        rule.digest_only = (*table)["mirror-by-digest-only"].value_or(false);
        if (const toml::array* mirrors = (*table)["mirror"].as_array(); mirrors != nullptr) {
            for (const toml::node& entry : *mirrors) {
                const toml::table* mirror = entry.as_table();
                if (mirror == nullptr) {
                    return invalid("[[registry.mirror]] is not a table");
                }
                Mirror out;
                out.location = trimmed((*mirror)["location"].value_or(std::string()));
                if (out.location.empty()) {
                    return invalid("a [[registry.mirror]] has no location");
                }
                out.insecure = (*mirror)["insecure"].value_or(false);
                const std::string when = (*mirror)["pull-from-mirror"].value_or(std::string("all"));
                out.when = when == "digest-only" ? Mirror::When::digest_only
                           : when == "tag-only"  ? Mirror::When::tag_only
                                                 : Mirror::When::all;
                rule.mirrors.push_back(std::move(out));
            }
        }
        std::erase_if(rules_, [&](const Rule& other) { return other.prefix == rule.prefix; });
        rules_.push_back(std::move(rule));
    }
    return {};
}

Result<RegistriesConf> RegistriesConf::load(const fs::path& explicit_file, const fs::path& home) {
    RegistriesConf out;
    std::error_code ignored;
    fs::path file = explicit_file;
    if (file.empty()) {
        file = home.empty() ? fs::path() : home / ".config/containers/registries.conf";
        if (file.empty() || !fs::exists(file, ignored)) {
            file = "/etc/containers/registries.conf";
        }
    }
    const auto add_file = [&](const fs::path& path) -> Status {
        TRY_ASSIGN(const std::string text, read_file(path, std::size_t{1} << 20U));
        return out.add(text, path.string());
    };
    if (!explicit_file.empty() || fs::exists(file, ignored)) {
        TRY(add_file(file));
    }
    const fs::path directory = file.string() + ".d";
    std::vector<fs::path> extra;
    for (fs::directory_iterator it(directory, ignored), end; !ignored && it != end; it.increment(ignored)) {
        if (it->path().extension() == ".conf") {
            extra.push_back(it->path());
        }
    }
    std::ranges::sort(extra);
    for (const fs::path& path : extra) {
        TRY(add_file(path));
    }
    return out;
}

const RegistriesConf::Rule* RegistriesConf::find(std::string_view name) const {
    const Rule* best = nullptr;
    for (const Rule& rule : rules_) {
        if (covers(rule.prefix, name) && (best == nullptr || rule.prefix.size() > best->prefix.size())) {
            best = &rule;
        }
    }
    return best;
}

Result<std::vector<Reference>> RegistriesConf::meanings(std::string_view text) const {
    TRY_ASSIGN(Reference usual, parse_reference(text));
    if (!usual.short_name) {
        return std::vector{std::move(usual)};
    }
    // What follows the name: ":tag", "@digest", both or neither. A short name has no port to mistake for a
    // tag.
    const std::size_t end = std::min(text.find_first_of(":@"), text.size());
    const std::string_view name = text.substr(0, end);
    const std::string_view rest = text.substr(end);
    if (const auto alias = aliases_.find(name); alias != aliases_.end() && !alias->second.empty()) {
        TRY_ASSIGN(Reference meant, parse_reference(alias->second + std::string(rest)));
        return std::vector{std::move(meant)};
    }
    std::vector<Reference> out;
    for (const std::string& host : search_) {
        TRY_ASSIGN(Reference meant, parse_reference(host + "/" + std::string(text)));
        out.push_back(std::move(meant));
    }
    if (out.empty()) {
        out.push_back(std::move(usual));
    }
    return out;
}

Result<std::vector<Endpoint>>
RegistriesConf::pull_endpoints(std::string_view registry, std::string_view repository, bool by_digest) const {
    const std::string name = std::string(registry) + "/" + std::string(repository);
    const Rule* rule = find(name);
    if (rule == nullptr) {
        return std::vector{endpoint(name, false, false)};
    }
    if (rule->blocked) {
        return fail(ErrorClass::build, code::cannot_pull_base_image,
                    "the registry of " + name + " is blocked by registries.conf",
                    "use another base image, or have the cluster's registries.conf changed");
    }
    const bool wildcard = rule->prefix.starts_with("*.");
    const std::string rest = wildcard ? "/" + std::string(repository) : name.substr(rule->prefix.size());
    std::vector<Endpoint> out;
    for (const Mirror& mirror : rule->mirrors) {
        const bool wanted = mirror.when == Mirror::When::all           ? (by_digest || !rule->digest_only)
                            : mirror.when == Mirror::When::digest_only ? by_digest
                                                                       : !by_digest;
        if (wanted) {
            out.push_back(endpoint(mirror.location + rest, mirror.insecure, true));
        }
    }
    out.push_back(endpoint(rule->location.empty() ? name : rule->location + rest, rule->insecure, false));
    return out;
}

Result<Endpoint> RegistriesConf::push_endpoint(std::string_view registry, std::string_view repository) const {
    const std::string name = std::string(registry) + "/" + std::string(repository);
    const Rule* rule = find(name);
    if (rule == nullptr) {
        return endpoint(name, false, false);
    }
    if (rule->blocked) {
        return fail_usage("the registry of " + name + " is blocked by registries.conf",
                          "push elsewhere, or have the cluster's registries.conf changed");
    }
    const bool wildcard = rule->prefix.starts_with("*.");
    const std::string rest = wildcard ? "/" + std::string(repository) : name.substr(rule->prefix.size());
    return endpoint(rule->location.empty() ? name : rule->location + rest, rule->insecure, false);
}

} // namespace slipway::registry
