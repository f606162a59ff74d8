#include "registry/documents.hpp"

#include "base/encoding.hpp"
#include "digest/sha256.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace slipway::registry {

namespace {

using Json = nlohmann::json;

constexpr std::size_t most_entries = 4096;

std::unexpected<Error> malformed(std::string_view what, std::string_view why) {
    return fail(ErrorClass::registry, code::internal_error,
                std::string(what) + " is malformed: " + std::string(why));
}

Result<Json> parse_object(std::string_view text, std::string_view what) {
    Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) {
        return malformed(what, "not a JSON object");
    }
    return json;
}

const Json* member(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found == json.end() ? nullptr : &*found;
}

std::string text_of(const Json& json, const char* name) {
    const Json* value = member(json, name);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::vector<std::string> texts_of(const Json& json, const char* name) {
    std::vector<std::string> out;
    const Json* value = member(json, name);
    if (value == nullptr || !value->is_array()) {
        return out;
    }
    for (const Json& item : *value) {
        if (item.is_string() && out.size() < most_entries) {
            out.push_back(item.get<std::string>());
        }
    }
    return out;
}

std::vector<std::string> keys_of(const Json& json, const char* name) {
    std::vector<std::string> out;
    const Json* value = member(json, name);
    if (value != nullptr && value->is_object()) {
        for (const auto& [key, unused] : value->items()) {
            if (out.size() < most_entries) {
                out.push_back(key);
            }
        }
    }
    return out;
}

Result<Descriptor> descriptor(const Json& json, std::string_view what) {
    if (!json.is_object()) {
        return malformed(what, "a descriptor is not an object");
    }
    Descriptor out;
    out.digest = text_of(json, "digest");
    out.media_type = text_of(json, "mediaType");
    if (!digest::is_valid_digest(out.digest)) {
        return malformed(what, "a descriptor's digest is \"" + one_line(out.digest, 100) + "\"");
    }
    const Json* size = member(json, "size");
    if (size == nullptr || !size->is_number_integer() ||
        (!size->is_number_unsigned() && size->get<std::int64_t>() < 0) ||
        size->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return malformed(what, "a descriptor's size is missing or no size");
    }
    out.size = size->get<std::uint64_t>();
    if (const Json* platform = member(json, "platform"); platform != nullptr && platform->is_object()) {
        out.platform = Platform{text_of(*platform, "os"), text_of(*platform, "architecture"),
                                text_of(*platform, "variant")};
    }
    if (const Json* annotations = member(json, "annotations");
        annotations != nullptr && annotations->is_object()) {
        out.ref_name = text_of(*annotations, "org.opencontainers.image.ref.name");
        out.attestation = annotations->contains("vnd.docker.reference.type");
        out.title = text_of(*annotations, "org.opencontainers.image.title");
        out.unpack = text_of(*annotations, "io.deis.oras.content.unpack") == "true";
    }
    return out;
}

Status descriptors(const Json& json, std::string_view what, std::vector<Descriptor>& out) {
    if (!json.is_array()) {
        return malformed(what, "a list is not a list");
    }
    if (json.size() > most_entries) {
        return malformed(what, "more than 4096 entries");
    }
    std::uint64_t total = 0;
    for (const Json& item : json) {
        TRY_ASSIGN(Descriptor one, descriptor(item, what));
        if (__builtin_add_overflow(total, one.size, &total)) {
            return malformed(what, "the sizes add up to more than there is");
        }
        out.push_back(std::move(one));
    }
    return {};
}

} // namespace

std::string Platform::text() const {
    return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

Platform split_platform(std::string_view text) {
    Platform platform;
    const auto slash = text.find('/');
    platform.os = text.substr(0, slash);
    if (slash != std::string_view::npos) {
        const std::string_view rest = text.substr(slash + 1);
        const auto second = rest.find('/');
        platform.architecture = rest.substr(0, second);
        platform.variant = second == std::string_view::npos ? "" : rest.substr(second + 1);
    }
    return platform;
}

Result<Document> parse_document(std::string_view text, std::string_view declared) {
    TRY_ASSIGN(const Json json, parse_object(text, "the manifest"));
    Document out;
    out.media_type = text_of(json, "mediaType");
    if (out.media_type.empty()) {
        out.media_type = declared.substr(0, declared.find(';'));
    }
    const Json* version = member(json, "schemaVersion");
    if ((version != nullptr && version->is_number() && *version == 1) ||
        out.media_type.starts_with(media::docker_schema1)) {
        return fail(ErrorClass::registry, code::internal_error,
                    "the image is in Docker's first manifest format",
                    "that format is no longer supported: push the image again with a current tool");
    }
    const bool has_manifests = json.contains("manifests");
    const bool has_layers = json.contains("layers") || json.contains("config");
    if (has_manifests == has_layers) {
        return malformed("the manifest",
                         has_manifests ? "both manifest and index" : "neither manifest nor index");
    }
    const bool index_type = out.media_type == media::oci_index || out.media_type == media::docker_list;
    const bool manifest_type =
        out.media_type == media::oci_manifest || out.media_type == media::docker_manifest;
    if ((has_manifests && manifest_type) || (has_layers && index_type)) {
        return malformed("the manifest", "its media type says otherwise");
    }
    out.is_index = has_manifests;
    if (!index_type && !manifest_type) { // application/json and the like
        out.media_type = out.is_index ? media::oci_index : media::oci_manifest;
    }
    if (out.is_index) {
        TRY(descriptors(json["manifests"], "the index", out.manifests));
        return out;
    }
    const Json* config = member(json, "config");
    const Json* layers = member(json, "layers");
    if (config == nullptr || layers == nullptr) {
        return malformed("the manifest", "config or layers are missing");
    }
    TRY_ASSIGN(out.config, descriptor(*config, "the manifest"));
    TRY(descriptors(*layers, "the manifest", out.layers));
    return out;
}

Status parse_config(std::string_view text, ResolvedImage& image) {
    TRY_ASSIGN(const Json json, parse_object(text, "the image's config"));
    const Platform platform{text_of(json, "os"), text_of(json, "architecture"), text_of(json, "variant")};
    image.platform =
        platform.os.empty() && platform.architecture.empty() ? "" : one_line(platform.text(), 100);
    image.created = one_line(text_of(json, "created"), 64);
    const Json* config = member(json, "config");
    if (config == nullptr || !config->is_object()) {
        return {};
    }
    for (const std::string& entry : texts_of(*config, "Env")) {
        const auto equals = entry.find('=');
        if (equals != 0 && equals != std::string::npos) {
            image.env.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
        }
    }
    image.user = text_of(*config, "User");
    image.working_dir = text_of(*config, "WorkingDir");
    image.entrypoint = texts_of(*config, "Entrypoint");
    image.cmd = texts_of(*config, "Cmd");
    image.shell = texts_of(*config, "Shell");
    image.on_build = texts_of(*config, "OnBuild");
    image.volumes = keys_of(*config, "Volumes");
    image.exposed_ports = keys_of(*config, "ExposedPorts");
    if (const Json* labels = member(*config, "Labels"); labels != nullptr && labels->is_object()) {
        for (const auto& [key, value] : labels->items()) {
            if (value.is_string() && image.labels.size() < most_entries) {
                image.labels.emplace(key, value.get<std::string>());
            }
        }
    }
    if (const Json* check = member(*config, "Healthcheck"); check != nullptr && check->is_object()) {
        const auto test = texts_of(*check, "Test");
        image.has_healthcheck = !test.empty() && test.front() != "NONE";
    }
    return {};
}

std::string write_list(std::string_view media_type, const std::vector<ListEntry>& entries) {
    Json manifests = Json::array();
    for (const ListEntry& entry : entries) {
        Json platform{{"architecture", entry.platform.architecture}, {"os", entry.platform.os}};
        if (!entry.platform.variant.empty()) {
            platform["variant"] = entry.platform.variant;
        }
        manifests.push_back({{"mediaType", entry.media_type},
                             {"digest", entry.digest},
                             {"size", entry.size},
                             {"platform", std::move(platform)}});
    }
    return Json{{"schemaVersion", 2}, {"mediaType", media_type}, {"manifests", std::move(manifests)}}.dump();
}

Result<Token> parse_token(std::string_view text) {
    TRY_ASSIGN(const Json json, parse_object(text, "the token answer"));
    Token out;
    out.value = text_of(json, "token");
    if (out.value.empty()) {
        out.value = text_of(json, "access_token");
    }
    const bool printable = std::ranges::all_of(out.value, [](char c) { return c > ' ' && c < 127; });
    if (out.value.empty() || !printable || out.value.size() > 16384) {
        return malformed("the token answer", "no token in it");
    }
    if (const Json* seconds = member(json, "expires_in");
        seconds != nullptr && seconds->is_number_integer()) {
        const auto value = std::clamp<std::int64_t>(
            seconds->is_number_unsigned()
                ? static_cast<std::int64_t>(std::min<std::uint64_t>(seconds->get<std::uint64_t>(), 86400))
                : seconds->get<std::int64_t>(),
            60, 86400);
        out.lifetime = std::chrono::seconds(value);
    }
    return out;
}

std::string error_words(std::string_view body) {
    const Json json = Json::parse(body, nullptr, false);
    if (json.is_object()) {
        if (const Json* errors = member(json, "errors");
            errors != nullptr && errors->is_array() && !errors->empty()) {
            const Json& first = errors->front();
            if (first.is_object()) {
                const std::string name = text_of(first, "code");
                const std::string message = text_of(first, "message");
                return one_line(name + (name.empty() || message.empty() ? "" : ": ") + message);
            }
        }
        for (const char* name : {"error_description", "message", "details", "error"}) {
            if (std::string words = text_of(json, name); !words.empty()) {
                return one_line(words);
            }
        }
        return {};
    }
    // An HTML page explains nothing on one line.
    const auto start = body.find_first_not_of(" \t\r\n");
    return start == std::string_view::npos || body[start] == '<' ? std::string()
                                                                 : one_line(body.substr(start));
}

Result<RawAuthFile> parse_auth_file(std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return RawAuthFile{};
    }
    TRY_ASSIGN(const Json json, parse_object(text, "the auth file"));
    RawAuthFile out;
    out.has_helpers = json.contains("credHelpers") || json.contains("credsStore");
    const Json* auths = member(json, "auths");
    // The old .dockercfg is the inner object alone.
    const bool modern = auths != nullptr || out.has_helpers || json.contains("HttpHeaders");
    if (modern && auths == nullptr) {
        return out;
    }
    const Json& table = modern ? *auths : json;
    if (!table.is_object()) {
        return malformed("the auth file", "auths is not an object");
    }
    if (table.size() > most_entries) {
        return malformed("the auth file", "more than 4096 entries");
    }
    for (const auto& [key, value] : table.items()) {
        if (value.is_object()) {
            out.auths.push_back({key, text_of(value, "auth"), text_of(value, "username"),
                                 text_of(value, "password"), text_of(value, "identitytoken")});
        }
    }
    return out;
}

} // namespace slipway::registry
