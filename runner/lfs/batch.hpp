// The documents of the LFS batch API v1 (git-lfs's docs/api/batch.md), written and read; git-lfs-authenticate
// answers in the same terms. Pure. What a server sends is bounded and checked: what is not understood is an
// error of class build, code gitfailure.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::lfs {

using Time = std::chrono::system_clock::time_point;

struct Object {
    std::string oid;
    std::uint64_t size = 0;

    bool operator==(const Object&) const = default;
};

/// Where to go on, and with which headers.
struct Action {
    std::string href; ///< as sent, unchecked; may hold secrets in its query
    std::vector<std::pair<std::string, std::string>>
        headers; ///< without those that are the client's own affair
    std::optional<Time> expires;

    /// Not to be relied on any more, or for less than five seconds.
    [[nodiscard]] bool expired(Time now) const;
    /// What may never be shown: header values (of "Scheme token" the token too), values in the query.
    [[nodiscard]] std::vector<std::string> secrets() const;
};

/// What a server says about one object asked for.
struct Answer {
    std::optional<Action> download;
    int error = 0;       ///< its code, as in HTTP; 0 = none
    std::string message; ///< the server's words with it: one line, bounded
};

/// Body of a download request; `ref` is left out when empty.
std::string batch_request(const std::vector<Object>& objects, std::string_view ref);

/// One Answer per object asked for, in the order they were asked for. One the server does not mention, or
/// mentions without action and error, has neither: it has not got it.
Result<std::vector<Answer>> parse_batch(std::string_view body, const std::vector<Object>& asked, Time now);

/// Standard output of git-lfs-authenticate. An empty href is none.
Result<Action> parse_authentication(std::string_view output, Time now);

/// The `message` of an error answer in JSON: one line, bounded; empty when it has none.
std::string error_message(std::string_view body);

} // namespace slipway::lfs
