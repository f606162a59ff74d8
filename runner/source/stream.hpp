// The sockets libgit2 speaks through: its stream port, filled with sockets that can be interrupted.
//
// libgit2's own sockets block until their time-out, and under libssh2 it starts waiting again when that has
// passed. These wake when the stop token fires, give up when a server has been silent for the stall time, and
// remember what went wrong in terms of the system, not of the protocol above.
#pragma once

#include "base/clock.hpp"
#include "base/stop.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

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
        stopped
    } kind = Kind::none;
    std::string host;
    std::string port;
    std::string detail;
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

    // For the streams.
    void set_fault(NetFault::Kind kind, std::string host, std::string port, std::string detail);
    void set_closed() { closed_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool quiet() const { return quiet_.load(std::memory_order_relaxed); }
    [[nodiscard]] const StopToken& stop() const { return stop_; }
    [[nodiscard]] Milliseconds connect_timeout() const { return connect_timeout_; }
    [[nodiscard]] Milliseconds stall_timeout() const { return stall_timeout_; }
    [[nodiscard]] bool for_ssh() const { return for_ssh_; }
    static NetSession* current();

  private:
    StopToken stop_;
    Milliseconds connect_timeout_;
    Milliseconds stall_timeout_;
    bool for_ssh_;
    std::atomic<bool> closed_{false};
    std::atomic<bool> quiet_{false};
    mutable std::mutex mutex_;
    NetFault fault_;
    NetSession* outer_;
};

/// Makes libgit2 use these sockets for everything, TLS and SSH included. Once per process.
int register_streams();

} // namespace slipway::source
