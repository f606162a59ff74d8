#include "lfs/batch.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>

namespace slipway::lfs {

namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

constexpr std::size_t most_headers = 64;
constexpr std::size_t longest_header = 16U << 10U;
constexpr std::size_t longest_message = 500;
constexpr std::int64_t longest_life = 2'147'483'647; // as the API bounds expires_in

std::unexpected<Error> misunderstood(std::string what) {
    return fail(ErrorClass::build, code::git_failure,
                "the Git LFS server's answer is not understood: " + std::move(what),
                "check that the URL is a Git LFS server's");
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

/// Headers of the exchange itself: a server has no say in them.
bool is_clients_own(std::string_view name) {
    constexpr std::array<std::string_view, 6> own{"host",  "connection", "content-length",
                                                  "range", "te",         "transfer-encoding"};
    return std::ranges::find(own, lower(name)) != own.end();
}

/// Member of an object: the string, or empty.
std::string text_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// RFC 3339. Nothing for what is malformed, and for year 1: how programs in Go write "no time".
std::optional<Time> parse_time(std::string text) {
    if (text.ends_with('Z') || text.ends_with('z')) {
        text.replace(text.size() - 1, 1, "+00:00");
    }
    std::istringstream in(text);
    std::chrono::sys_time<std::chrono::milliseconds> time;
    in >> std::chrono::parse("%FT%T%Ez", time);
    if (in.fail() || time < std::chrono::sys_days(std::chrono::year(1970) / 1 / 1)) {
        return std::nullopt;
    }
    return std::chrono::time_point_cast<Time::duration>(time);
}

std::optional<Time> expiry(const Json& action, Time now) {
    if (const auto in = action.find("expires_in"); in != action.end() && in->is_number_integer()) {
        if (const auto life = in->get<std::int64_t>(); life != 0) {
            return now + seconds(std::clamp(life, -longest_life, longest_life));
        }
    }
    const std::string at = text_of(action, "expires_at");
    return at.empty() || at.size() > 64 ? std::nullopt : parse_time(at);
}

Result<Action> parse_action(const Json& from, Time now) {
    Action action{.href = text_of(from, "href"), .headers = {}, .expires = expiry(from, now)};
    if (const auto headers = from.find("header"); headers != from.end() && headers->is_object()) {
        if (headers->size() > most_headers) {
            return misunderstood("more than " + std::to_string(most_headers) + " headers");
        }
        for (const auto& [name, value] : headers->items()) {
            if (!value.is_string() ||
                name.size() + value.get_ref<const std::string&>().size() > longest_header) {
                return misunderstood("a header that is no text, or too long");
            }
            if (!is_clients_own(name)) {
                action.headers.emplace_back(name, value.get<std::string>());
            }
        }
    }
    return action;
}

Result<Answer> parse_answer(const Json& from, Time now) {
    Answer answer;
    if (const auto error = from.find("error"); error != from.end() && error->is_object()) {
        const auto code = error->find("code");
        answer.error = code != error->end() && code->is_number_integer()
                           ? static_cast<int>(std::clamp<std::int64_t>(code->get<std::int64_t>(), 400, 599))
                           : 500;
        answer.message = one_line(text_of(*error, "message"), longest_message);
        return answer;
    }
    const auto actions = from.find("actions");
    if (actions != from.end() && actions->is_object()) {
        if (const auto download = actions->find("download");
            download != actions->end() && download->is_object()) {
            TRY_ASSIGN(answer.download, parse_action(*download, now));
        }
    }
    return answer;
}

} // namespace

bool Action::expired(Time now) const {
    return expires && now + seconds(5) >= *expires;
}

std::vector<std::string> Action::secrets() const {
    std::vector<std::string> out;
    for (const auto& [name, value] : headers) {
        out.push_back(value);
        if (const std::size_t space = value.find(' '); space != std::string::npos) {
            out.push_back(value.substr(space + 1));
        }
    }
    std::string_view query = href;
    query.remove_prefix(std::min(query.find('?'), query.size()));
    while (!query.empty()) {
        query.remove_prefix(1); // '?' or '&'
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(pair.size());
        // A word like "true" or a date is no secret, and masking it everywhere would spoil the log.
        if (const std::string_view value = pair.substr(std::min(pair.find('=') + 1, pair.size()));
            value.size() >= 16) {
            out.push_back(percent_decode(value));
        }
    }
    return out;
}

std::string batch_request(const std::vector<Object>& objects, std::string_view ref) {
    Json body{{"operation", "download"}, {"transfers", {"basic"}}, {"hash_algo", "sha256"}};
    if (!ref.empty()) {
        body["ref"] = {{"name", ref}};
    }
    Json& list = body["objects"] = Json::array();
    for (const Object& object : objects) {
        list.push_back({{"oid", object.oid}, {"size", object.size}});
    }
    return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::vector<Answer>> parse_batch(std::string_view body, const std::vector<Object>& asked, Time now) {
    const Json document = Json::parse(body, nullptr, false);
    if (!document.is_object()) {
        return misunderstood("not a JSON object");
    }
    if (const std::string transfer = text_of(document, "transfer");
        !transfer.empty() && transfer != "basic") {
        return misunderstood("it wants a way of transfer nobody offered");
    }
    if (const std::string hash = text_of(document, "hash_algo"); !hash.empty() && hash != "sha256") {
        return misunderstood("it names objects by another hash than SHA-256");
    }
    const auto objects = document.find("objects");
    if (objects == document.end() || !objects->is_array()) {
        return misunderstood("it lists no objects");
    }
    std::unordered_map<std::string, std::size_t> places;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        places.emplace(asked[i].oid, i);
    }
    std::vector<Answer> answers(asked.size());
    for (const Json& object : *objects) {
        if (!object.is_object()) {
            continue;
        }
        if (const auto place = places.find(text_of(object, "oid")); place != places.end()) {
            TRY_ASSIGN(answers[place->second], parse_answer(object, now));
        }
    }
    return answers;
}

Result<Action> parse_authentication(std::string_view output, Time now) {
    const Json document = Json::parse(output, nullptr, false);
    if (!document.is_object()) {
        return misunderstood("git-lfs-authenticate wrote no JSON object");
    }
    return parse_action(document, now);
}

std::string error_message(std::string_view body) {
    const Json document = Json::parse(body, nullptr, false);
    return document.is_object() ? one_line(text_of(document, "message"), longest_message) : std::string();
}

} // namespace slipway::lfs
