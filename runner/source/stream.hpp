// The sockets libgit2 speaks through: its stream port, filled with sockets that can be interrupted.
//
// libgit2's own sockets block until their time-out, and under libssh2 it starts waiting again when that has
// passed. These wake when the stop token fires, give up when a server has been silent for the stall time, and
// remember what went wrong in terms of the system, not of the protocol above.
#pragma once

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/stop.hpp"
#include "source/tls_stream.hpp"

#include <atomic>
#include <cstdint>
#include <git2.h>
#include <git2/sys/stream.h>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::source {

struct NetFault {
    enum class Kind {
        none,
        unresolved,      ///< no such host
        resolver,        ///< the resolver itself failed or was slow
        unreachable,     ///< refused, no route, …: `detail` is the system's word
        connect_timeout, ///< no answer to connecting
        stalled,         ///< connected, then silent
        broken,          ///< reset in mid stream
        tls,             ///< no TLS session: `detail` is OpenSSL's word
        certificate_expired,
        certificate_early,   ///< not valid yet
        certificate_name,    ///< made out to another
        certificate_unknown, ///< not signed by anybody trusted
        too_much,            ///< more than fits into memory
        stopped
    } kind = Kind::none;
    std::string host;
    std::string port;
    std::string detail;
};

/// The HTTP proxy of an http or https fetch.
struct HttpProxy {
    std::string host; ///< empty = none
    std::string port;
    std::string authorization; ///< value of Proxy-Authorization, or empty
};

/// One fetch's network, current on its thread between construction and destruction.
class NetSession {
  public:
    NetSession(StopToken stop, Milliseconds connect_timeout, Milliseconds stall_timeout, bool for_ssh);
    ~NetSession();
    NetSession(const NetSession&) = delete;
    NetSession& operator=(const NetSession&) = delete;

    [[nodiscard]] NetFault fault() const;
    /// The server ended a connection (not an error by itself: HTTP does so regularly).
    [[nodiscard]] bool closed_by_peer() const { return closed_.load(std::memory_order_relaxed); }
    /// Everything has arrived: silence is no stall any more.
    void all_received() { quiet_.store(true, std::memory_order_relaxed); }
    /// Retry-After of the last HTTP answer.
    [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const;
    /// From now on, off the wire; 0 = no limit.
    void take_at_most(std::uint64_t bytes) { room_ = bytes; }
    /// Status of the last HTTP answer, also of one libgit2 gave up on; 0 = none.
    [[nodiscard]] int http_status() const;
    /// Was that answer the proxy's, to being asked for a tunnel?
    [[nodiscard]] bool tunnelling() const { return tunnelling_; }
    /// Before the first connection. libgit2 1.9 forgets its proxy for plain http, and wants a 407 whose body
    /// has a length before it shows its password; so both are seen to here.
    void go_through(HttpProxy proxy) { proxy_ = std::move(proxy); }
    /// Before the first https connection.
    void trust(TlsTrust trust) { trust_ = std::move(trust); }

    // For the streams.
    void set_fault(NetFault::Kind kind, std::string host, std::string port, std::string detail);
    void set_closed() { closed_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool quiet() const { return quiet_.load(std::memory_order_relaxed); }
    [[nodiscard]] const StopToken& stop() const { return stop_; }
    [[nodiscard]] Milliseconds connect_timeout() const { return connect_timeout_; }
    [[nodiscard]] Milliseconds stall_timeout() const { return stall_timeout_; }
    [[nodiscard]] bool for_ssh() const { return for_ssh_; }
    [[nodiscard]] const TlsTrust& trust() const { return trust_; }
    [[nodiscard]] const HttpProxy& proxy() const { return proxy_; }
    /// In clear: a request goes out, whose answer's head is to be kept, and a piece of an answer has come.
    void said(std::string_view request) {
        head_.clear();
        tunnelling_ = request.starts_with("CONNECT ");
    }
    /// False = a fault: the head is endless.
    bool heard(std::string_view piece);
    /// So much has come off the wire. False = a fault: it is more than take_at_most() allows.
    bool received(std::size_t bytes);
    static NetSession* current();

  private:
    StopToken stop_;
    Milliseconds connect_timeout_;
    Milliseconds stall_timeout_;
    bool for_ssh_;
    std::atomic<bool> closed_{false};
    std::atomic<bool> quiet_{false};
    std::atomic<std::uint64_t> room_{0};
    mutable std::mutex mutex_;
    NetFault fault_;
    TlsTrust trust_;
    HttpProxy proxy_;
    bool tunnelling_ = false;
    std::string head_; ///< how the last HTTP answer began; libgit2 tells only its status
    NetSession* outer_;
};

/// A socket to the first address of `host` that answers; none = the session has a fault now.
Fd connect_any(NetSession& net, const std::string& host, const std::string& port);

/// Waits until the socket is ready for poll(2)'s `events`; false = the session has a fault now.
bool await_socket(NetSession& net, int socket, short events, const std::string& host,
                  const std::string& port);

/// Makes libgit2 use these sockets for everything but https, which register_tls_streams() sees to. Once per
/// process.
int register_streams();

/// A socket as a libgit2 stream. `carries_tls`: what passes is no HTTP to listen to.
int make_socket_stream(git_stream** out, const char* host, const char* port, bool carries_tls);

} // namespace slipway::source
