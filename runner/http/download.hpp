// Downloads one file of any size into a descriptor: resumed after a cut, checked for completeness.
//
// A try that breaks off is gone on with from where it stopped (RFC 9110 §14: Range, If-Range with a strong
// validator); what comes back must be exactly the rest of the same file, else the whole is fetched again.
// Without a validator, or from a server without ranges, it starts over. Only what is transient is tried
// again.
//
// Errors, all with code buildpackissue and the status as cause: auth for 401, 403 and 407; build for other
// 4xx, with a hint where the URL is a signed one, which expire; network (transient) for 5xx and 429. Besides
// those: what client.hpp says, and build/cannotextractbuildpack for a file larger than `limit`. No message
// holds the URL's query.
#pragma once

#include "base/retry.hpp"
#include "http/client.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::http {

struct Download {
    Url url;                 ///< its user name and password go along as basic authentication
    std::uint64_t limit = 0; ///< bytes; 0 = none
    RetryPolicy retry;
    OnRetry on_retry;
    /// After each piece; `total` is 0 while it is unknown.
    std::function<void(std::uint64_t received, std::uint64_t total)> on_progress;
};

struct Downloaded {
    std::uint64_t size = 0;
    int resumed = 0; ///< how often a try went on where another had stopped
};

/// Into the (empty, seekable) file `fd`, from its beginning.
Result<Downloaded> download(Client& client, const Download& what, int fd, const StopToken& stop);

/// Origin and path: no query, no user information. What may be shown of a URL that may be signed.
std::string text_without_query(const Url& url);

/// What must not be shown of a URL that may be signed, well-formed or not: its query, and each longer value
/// in it.
std::vector<std::string> secrets_in_query(std::string_view url);

} // namespace slipway::http
