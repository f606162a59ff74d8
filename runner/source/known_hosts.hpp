// OpenSSH's known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), reduced to one host.
//
// libssh2 reads the format but knows neither patterns nor markers and gives up on the first malformed line,
// so matching is done here and libssh2 is handed plain lines for the one host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

enum class HostKeyVerdict {
    match,
    mismatch, ///< other keys are known for this host
    revoked,
    unknown ///< nothing is known of this host
};

class HostKeys {
  public:
    /// What `content` says about `host` at `port` (0 = 22). Malformed lines are passed over; of
    /// @cert-authority only is kept that there is one: libssh2 knows no host certificates.
    static HostKeys for_host(std::string_view content, std::string_view host, int port);

    [[nodiscard]] HostKeyVerdict check(std::string_view key_blob) const;
    /// A certificate authority is named for this host.
    [[nodiscard]] bool has_authority() const { return has_authority_; }
    /// Lines libssh2 understands, for choosing the key type to ask the server for.
    [[nodiscard]] std::string plain_lines() const;
    /// Types of the keys that may match ("ssh-ed25519"), in the order of the file.
    [[nodiscard]] std::vector<std::string> types() const;

  private:
    struct Key {
        std::string type;
        std::string blob;
        bool revoked = false;
    };
    std::string name_; ///< as libssh2 looks it up: "host" or "[host]:port"
    std::vector<Key> keys_;
    bool has_authority_ = false;
};

/// "ssh-ed25519 SHA256:…", as ssh-keygen -l prints it.
std::string host_key_fingerprint(std::string_view key_blob);

} // namespace slipway::source
