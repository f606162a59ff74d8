// HTTP/1.1 exchanges: the one place that talks TLS. Streams both ways, follows redirects itself, gives up
// when the stop token fires.
//
// Errors (a response of any status is not one): class network, code network, `transient` where another try
// may help (unknown for now, refused, reset, timeout, cut short), the cause in words. Certificates that do
// not check out are class network and final, hint naming --ca-file. A missing CA bundle is class pod.
#pragma once

#include "base/result.hpp"
#include "base/stop.hpp"
#include "http/options.hpp"
#include "http/url.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Reads up to buffer.size() bytes of the body at `offset` (pread): a request can be sent again after a
/// redirect.
using BodySource = std::function<Result<std::size_t>(std::uint64_t offset, std::span<char> buffer)>;
/// Takes the next piece of a response body. An error ends the exchange and is returned from send().
using BodySink = std::function<Status(std::string_view piece)>;

struct Request {
    std::string method = "GET";
    Url url;
    /// Authorization and Cookie are dropped when a redirect leads to another origin.
    Headers headers;
    std::string body;
    BodySource source; ///< instead of `body`, `source_size` bytes
    std::uint64_t source_size = 0;
    /// Receives the body of a 2xx answer; without it the body is collected up to `body_limit`.
    BodySink sink;
    /// Called before `sink`, with the 2xx answer's status and headers; an error ends the exchange.
    std::function<Status(int status, const Headers&)> on_headers;
    std::size_t body_limit = 4U << 20U; ///< a longer collected body is an error (of an error answer: cut)
    bool follow_redirects = true;
};

struct Response {
    int status = 0;
    Headers headers;
    std::string body;
    Url url; ///< the last one asked, after redirects

    /// Value of the first header of that name (any case), or empty.
    [[nodiscard]] std::string_view header(std::string_view name) const;
    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
    /// Retry-After in seconds (or until the date it names), bounded to an hour.
    [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const;
};

/// Connections to any number of origins, kept alive between requests. For one thread at a time.
class Client {
  public:
    /// `tls` holds for origins asked directly; those a redirect leads to get neither its client certificate
    /// nor its extra authorities, only its `verify`.
    Client(Options options, Tls tls);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    Result<Response> send(const Request& request, const StopToken& stop);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Is a response of this status worth another try: 408, 425, 429, 500, 502, 503, 504?
bool is_transient_status(int status) noexcept;

} // namespace slipway::http
