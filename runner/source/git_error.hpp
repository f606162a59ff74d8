// What went wrong with a fetch, in the project's terms: whose move it is, and whether to try again.
#pragma once

#include "base/error.hpp"
#include "base/stop.hpp"
#include "source/git.hpp"
#include "source/library.hpp"
#include "source/stream.hpp"

#include <string>

namespace slipway::source {

/// What the callbacks of one attempt saw; more telling than libgit2's words.
struct Observed {
    enum class Auth { none, missing, rejected, elsewhere } auth = Auth::none;
    enum class HostKey { none, unknown, mismatch, revoked } host_key = HostKey::none;
    std::string host_key_shown;  ///< fingerprint of the key that was refused
    std::string elsewhere;       ///< host that asked for credentials meant for another
    bool host_authority = false; ///< known_hosts has a certificate authority for the host
    std::string locked_key;   ///< an SSH key that was left out: it is encrypted, and there is no passphrase
    bool offered_key = false; ///< an SSH key was handed to libssh2
    std::string server_words; ///< last lines the server said
    enum class Stage { connect, fetch, checkout } stage = Stage::connect;
};

/// The Error for a failed libgit2 call.
Error classify(const LibraryError& failure, const Observed& seen, const NetSession& net, const GitUrl& url,
               const GitOptions& options);

} // namespace slipway::source
