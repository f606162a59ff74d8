// One Git LFS server: asking it where objects are, with whatever it takes to be let in.
//
// Errors: class auth/gitauth (401, 403, and 509: the account's bandwidth is used up), build/gitfailure (no
// such repository, not a Git LFS server), network/gitfailure (unreachable, 5xx, 429; retried here with
// `retry`), cancelled, deadline. What a server says in words becomes the error's `cause`, and only its
// `message`: a body that is no error of the API is never shown.
#pragma once

#include "base/retry.hpp"
#include "base/stop.hpp"
#include "http/client.hpp"
#include "lfs/batch.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace slipway::lfs {

struct Basic {
    std::string username;
    std::string password;
};

/// Where a repository's objects are asked for.
struct Endpoint {
    http::Url url;               ///< "/objects/batch" goes behind its path
    http::Headers headers;       ///< sent with every question: what git-lfs-authenticate gave
    std::optional<Time> expires; ///< of the headers
    std::optional<Basic> basic;  ///< sent to the URL's own origin, and only once the server wants it
};

struct ServerOptions {
    /// Called at first, and again when what it gave has expired or is refused. Its errors are final or
    /// transient as they say.
    std::function<Result<Endpoint>()> endpoint;
    std::string ref; ///< full name of what was fetched; empty = unknown
    std::shared_ptr<const http::Options> http;
    http::Tls tls;
    RetryPolicy retry;
    OnRetry on_retry;
    /// Given everything secret before an error that could repeat it is made.
    std::function<void(const std::vector<std::string>&)> on_secrets;
};

/// Thread-safe: questions are asked one after another.
class Server {
  public:
    static constexpr std::size_t largest_batch = 100;

    Server(const ServerOptions& options, StopToken stop);

    /// One answer per object, in order. At most `largest_batch` objects; where the server finds that too many
    /// (413), it is asked for fewer at a time.
    Result<std::vector<Answer>> batch(const std::vector<Object>& objects);

    /// The headers that let us in at `url` where it is the server's own origin; else none.
    http::Headers login_for(const http::Url& url);
    /// May what came over https be followed to `url`? Never down to plain http while certificates count.
    Status admit(const http::Url& url);

  private:
    Result<std::vector<Answer>> ask_in_parts(std::span<const Object> objects);
    Result<std::vector<Answer>> ask(const std::vector<Object>& objects);
    Result<http::Response> post(const std::string& body);
    Status admit_locked(const http::Url& url) const;
    Status renew();

    const ServerOptions& options_;
    StopToken stop_;
    std::mutex mutex_;
    http::Client client_;
    std::optional<Endpoint> endpoint_;
    bool challenged_ = false;
    std::size_t batch_size_ = largest_batch;
};

/// The Error for an HTTP status that is no success, or for the code of one object. `who` answered; `words`
/// are its own.
Error status_error(int status, const std::string& who, std::string words,
                   std::optional<std::chrono::seconds> retry_after = {});

/// An error of the http room in this room's vocabulary: its code is gitfailure where it was network.
Error as_git_failure(Error error);

} // namespace slipway::lfs
