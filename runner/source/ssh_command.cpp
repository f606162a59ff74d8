#include "source/ssh_command.hpp"

#include "source/connection.hpp"
#include "source/git_error.hpp"
#include "source/known_hosts.hpp"
#include "source/library.hpp"
#include "source/stream.hpp"

#include <array>
#include <format>
#include <libssh2.h>
#include <memory>
#include <poll.h>
#include <sys/socket.h>

namespace slipway::source {
namespace {

constexpr std::size_t longest_complaint = 4096;

/// One command's connection. libssh2 never blocks here: where it would, the socket is waited for with the
/// session's patience.
class SshSession {
  public:
    SshSession(const GitOptions& options, const GitUrl& url, const GitCallbacks& callbacks,
               const StopToken& stop)
        : options_(options), url_(url),
          net_(stop, options.connect_timeout, options.stall_timeout, /*for_ssh=*/true),
          connection_(options, url, callbacks, net_, seen_), port_(std::to_string(connection_.port())) {}
    SshSession(const SshSession&) = delete;
    SshSession& operator=(const SshSession&) = delete;
    ~SshSession() {
        // No farewell the other side could hold up: on a socket shut down everything returns at once.
        ::shutdown(socket_.get(), SHUT_RDWR);
        if (session_ != nullptr) {
            libssh2_session_set_blocking(session_, 1);
        }
        if (channel_ != nullptr) {
            libssh2_channel_free(channel_);
        }
        if (session_ != nullptr) {
            libssh2_session_free(session_);
        }
    }

    Result<SshAnswer> run(const std::string& command);

  private:
    /// Calls `what` until it is done; its last return value.
    template <class Call> auto patiently(const Call& what) {
        for (;;) {
            const auto rc = what();
            if (rc != LIBSSH2_ERROR_EAGAIN || !await()) {
                return rc;
            }
        }
    }
    bool await() {
        const int blocked = libssh2_session_block_directions(session_);
        const auto events =
            static_cast<short>(((blocked & LIBSSH2_SESSION_BLOCK_INBOUND) != 0 ? POLLIN : 0) |
                               ((blocked & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 ? POLLOUT : 0));
        return await_socket(net_, socket_.get(), events != 0 ? events : short{POLLIN}, connection_.host(),
                            port_);
    }
    std::unexpected<Error> failed() {
        LibraryError failure{.rc = GIT_ERROR, .klass = GIT_ERROR_SSH, .text = {}};
        char* text = nullptr;
        if (session_ != nullptr && libssh2_session_last_error(session_, &text, nullptr, 0) != 0 &&
            text != nullptr) {
            failure.text = clean_line(text);
        }
        return fail(classify(failure, seen_, net_, url_, options_));
    }
    Status shake_hands();
    Status log_in();
    Status open_channel(const std::string& command);
    Result<SshAnswer> read_answer();

    const GitOptions& options_;
    const GitUrl& url_;
    NetSession net_;
    Observed seen_;
    Connection connection_;
    std::string port_;
    Fd socket_; // before the session: libssh2 still writes to it when that is freed
    LIBSSH2_SESSION* session_ = nullptr;
    LIBSSH2_CHANNEL* channel_ = nullptr;
};

Status SshSession::shake_hands() {
    socket_ = connect_any(net_, connection_.host(), port_);
    if (!socket_) {
        return failed();
    }
    session_ = libssh2_session_init();
    if (session_ == nullptr) {
        return fail(ErrorClass::internal, code::internal_error, "no ssh session can be made");
    }
    libssh2_session_set_blocking(session_, 0);
    // A server shows one key; it is to be one of the kinds that can be checked.
    std::string kinds;
    for (const std::string& type :
         HostKeys::for_host(options_.credentials.known_hosts, connection_.host(), connection_.port())
             .types()) {
        kinds += (kinds.empty() ? "" : ",") +
                 (type == "ssh-rsa" ? std::string("rsa-sha2-512,rsa-sha2-256,ssh-rsa") : type);
    }
    if (!kinds.empty()) {
        libssh2_session_method_pref(session_, LIBSSH2_METHOD_HOSTKEY, kinds.c_str());
    }
    if (patiently([&] { return libssh2_session_handshake(session_, socket_.get()); }) != 0) {
        return failed();
    }
    std::size_t size = 0;
    int type = 0;
    const char* key = libssh2_session_hostkey(session_, &size, &type);
    if (key == nullptr || !connection_.admits_host_key({key, size})) {
        return failed();
    }
    return {};
}

Status SshSession::log_in() {
    const std::string user = connection_.ssh_user();
    const auto length = static_cast<unsigned int>(user.size());
    for (const SshKey& key : options_.credentials.keys) {
        seen_.offered_key = true;
        const int rc = patiently([&] {
            return libssh2_userauth_publickey_frommemory(
                session_, user.c_str(), user.size(), nullptr, 0, key.private_key.c_str(),
                key.private_key.size(), key.passphrase.empty() ? nullptr : key.passphrase.c_str());
        });
        if (rc == 0) {
            return {};
        }
        if (net_.fault().kind != NetFault::Kind::none || rc == LIBSSH2_ERROR_SOCKET_DISCONNECT) {
            return failed();
        }
    }
    if (const auto& basic = options_.credentials.basic) {
        const int rc = patiently([&] {
            return libssh2_userauth_password_ex(session_, user.c_str(), length, basic->password.c_str(),
                                                static_cast<unsigned int>(basic->password.size()), nullptr);
        });
        if (rc == 0) {
            return {};
        }
    }
    if (net_.fault().kind == NetFault::Kind::none) {
        seen_.auth = options_.credentials.keys.empty() && !options_.credentials.basic
                         ? Observed::Auth::missing
                         : Observed::Auth::rejected;
    }
    return failed();
}

Status SshSession::open_channel(const std::string& command) {
    for (;;) {
        channel_ = libssh2_channel_open_session(session_);
        if (channel_ != nullptr) {
            break;
        }
        if (libssh2_session_last_errno(session_) != LIBSSH2_ERROR_EAGAIN || !await()) {
            return failed();
        }
    }
    if (patiently([&] { return libssh2_channel_exec(channel_, command.c_str()); }) != 0 ||
        patiently([&] { return libssh2_channel_send_eof(channel_); }) != 0) {
        return failed();
    }
    return {};
}

Result<SshAnswer> SshSession::read_answer() {
    SshAnswer answer;
    std::array<char, 8192> buffer{};
    // Both streams in turn: a command that fills one while only the other is read would never end.
    while (libssh2_channel_eof(channel_) == 0) {
        const ssize_t out = libssh2_channel_read(channel_, buffer.data(), buffer.size());
        if (out > 0) {
            answer.out.append(buffer.data(), static_cast<std::size_t>(out));
            if (answer.out.size() > longest_ssh_answer) {
                return fail(ErrorClass::build, code::git_failure,
                            std::format("{} answers with more than {} bytes", connection_.host(),
                                        longest_ssh_answer));
            }
        }
        const ssize_t err = libssh2_channel_read_stderr(channel_, buffer.data(), buffer.size());
        if (err > 0) {
            const std::size_t room = longest_complaint - std::min(longest_complaint, answer.err.size());
            answer.err.append(buffer.data(), std::min(static_cast<std::size_t>(err), room));
        }
        const bool broken =
            (out < 0 && out != LIBSSH2_ERROR_EAGAIN) || (err < 0 && err != LIBSSH2_ERROR_EAGAIN);
        const bool idle = out <= 0 && err <= 0 && libssh2_channel_eof(channel_) == 0;
        if (broken || (idle && !await())) {
            return failed();
        }
    }
    if (patiently([&] { return libssh2_channel_close(channel_); }) != 0 ||
        patiently([&] { return libssh2_channel_wait_closed(channel_); }) != 0) {
        return failed();
    }
    std::array<char*, 3> words{};
    const bool signalled = libssh2_channel_get_exit_signal(channel_, &words[0], nullptr, &words[1], nullptr,
                                                           &words[2], nullptr) == 0 &&
                           words[0] != nullptr;
    answer.exit = signalled ? -1 : libssh2_channel_get_exit_status(channel_);
    for (char* word : words) {
        libssh2_free(session_, word);
    }
    patiently([&] { return libssh2_session_disconnect(session_, "done"); });
    return answer;
}

Result<SshAnswer> SshSession::run(const std::string& command) {
    TRY(shake_hands());
    TRY(log_in());
    TRY(open_channel(command));
    return read_answer();
}

} // namespace

Result<SshAnswer> run_ssh_command(const GitOptions& options, const std::string& command,
                                  const GitCallbacks& callbacks, const StopToken& stop) {
    TRY_ASSIGN(const GitUrl url, parse_git_url(options.url));
    TRY(ensure_library()); // sets libssh2 up, too
    return SshSession(options, url, callbacks, stop).run(command);
}

} // namespace slipway::source
