// Inside of a Session: shared by client.cpp and session.cpp. Private to the room.
#pragma once

#include "http/client.hpp"
#include "registry/challenge.hpp"
#include "registry/client.hpp"
#include "registry/documents.hpp"

#include <chrono>
#include <map>
#include <mutex>

namespace slipway::registry {

struct Session::State {
    Options options;
    Reference reference;
    Endpoint endpoint;
    Purpose purpose = Purpose::pull;
    std::string host; ///< registry's host as messages name it
    std::optional<Credentials> credentials;

    // Found out by the first ping, under the mutex.
    std::mutex mutex;
    bool known = false;
    http::Url base; ///< scheme, host and port; target unused
    bool verify = true;
    Challenge challenge;
    struct CachedToken {
        std::string value;
        std::chrono::steady_clock::time_point until;
    };
    std::map<std::string, CachedToken> tokens;

    [[nodiscard]] bool insecure() const;
    [[nodiscard]] http::Client make_client(bool verify_peer) const;
    /// Sets base, verify and challenge.
    Status find_out();
    /// Value of the Authorization header for a scope; empty = none needed. `renew`: the cached one was
    /// refused.
    Result<std::string> authorization(http::Client& client, const std::string& scope, bool renew);
    [[nodiscard]] std::string scope_for(std::string_view repository, Purpose why) const;

    /// The error an answer means. `what` is what was asked for: "the image docker.io/library/x:1".
    [[nodiscard]] Error explain(const http::Response& response, std::string_view what) const;
    [[nodiscard]] Error nonsense(std::string message) const;
    [[nodiscard]] std::string_view error_code() const;

  private:
    Result<Token> fetch_token(http::Client& client, const std::string& scope);
};

} // namespace slipway::registry
