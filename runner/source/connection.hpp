// One attempt's conversation with a server: what libgit2 asks (credentials, certificates, "go on?") and is
// answered.
#pragma once

#include "base/file.hpp"
#include "source/git.hpp"
#include "source/git_error.hpp"
#include "source/library.hpp"
#include "source/stream.hpp"

#include <git2.h>
#include <git2/sys/remote.h>
#include <string>

namespace slipway::source {

class Connection {
  public:
    Connection(const GitOptions& options, const GitUrl& url, const GitCallbacks& callbacks, NetSession& net,
               Observed& seen)
        : options_(options), url_(url), callbacks_(callbacks), net_(net), seen_(seen) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Whom this attempt believes (CA, known hosts); the latter are a process-wide setting and live below
    /// `git_dir` while `*this` does.
    Status prepare(const std::filesystem::path& git_dir);

    /// The URL as libgit2 is given it: without passwords, with the user and port ssh needs.
    [[nodiscard]] std::string connect_url() const;

    /// Valid as long as `*this` is.
    [[nodiscard]] git_remote_connect_options connect_options();
    [[nodiscard]] git_fetch_options fetch_options(int depth);

    /// Hands out the last line of what the server said.
    void finish_messages() { say(); }

    [[nodiscard]] int port() const;
    [[nodiscard]] const std::string& host() const;
    /// Who to log in as over ssh.
    [[nodiscard]] std::string ssh_user() const;

    /// Is this the host's key, as far as known_hosts and the caller's policy say? If not, what was seen
    /// tells.
    bool admits_host_key(std::string_view blob);

  private:
    git_remote_callbacks remote_callbacks();
    git_proxy_options proxy_options() const;
    void say();

    int credentials(git_credential** out, const char* url, const char* user, unsigned int allowed);
    int host_key(git_cert* cert);
    int refuse(Observed::Auth why, std::string_view text);

    const GitOptions& options_;
    const GitUrl& url_;
    const GitCallbacks& callbacks_;
    NetSession& net_;
    Observed& seen_;
    std::optional<TemporaryDirectory> home_;
    std::string proxy_url_; ///< without its credentials
    std::string line_;
    bool repaint_ = false; ///< a carriage return: what follows overwrites `line_`
    std::size_t next_key_ = 0;
    bool basic_used_ = false;
};

} // namespace slipway::source
