#include "source/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/errors.h>
#include <git2/sys/stream.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <tuple>
#include <unistd.h>

// Stream's head must look like libgit2's own socket stream (src/libgit2/streams/socket.h): the SSH transport
// takes the descriptor straight out of it. Compare the two before allowing another release.
static_assert(LIBGIT2_VERSION_MAJOR == 1 && LIBGIT2_VERSION_MINOR == 9,
              "check the layout of git_socket_stream");

namespace slipway::source {
namespace {

using Steady = std::chrono::steady_clock;

int remaining(Steady::time_point until) {
    const auto left = std::chrono::ceil<Milliseconds>(until - Steady::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

std::string system_text(int err) {
    return std::generic_category().message(err);
}

// ---- Name resolution: getaddrinfo cannot be interrupted, so it runs on a thread that may be left behind.

struct Lookup {
    std::string host;
    std::string port;
    Fd done{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::atomic<bool> finished{false};
    int rc = EAI_AGAIN;
    addrinfo* found = nullptr;
    ~Lookup() {
        if (found != nullptr) {
            ::freeaddrinfo(found);
        }
    }
};

enum class Wait { ready, timeout, stopped };

Wait wait_for(int fd, short events, const StopToken& stop, int timeout_ms) {
    const Steady::time_point until = Steady::now() + Milliseconds(timeout_ms);
    for (;;) {
        if (stop.requested()) {
            return Wait::stopped;
        }
        std::array<pollfd, 2> polled{pollfd{.fd = fd, .events = events, .revents = 0},
                                     pollfd{.fd = stop.fd(), .events = POLLIN, .revents = 0}};
        const int n = ::poll(polled.data(), polled.size(), timeout_ms < 0 ? -1 : remaining(until));
        if (n > 0 && polled[1].revents != 0) {
            return Wait::stopped;
        }
        if (n > 0 && polled[0].revents != 0) {
            return Wait::ready;
        }
        if (n == 0) {
            return Wait::timeout;
        }
    }
}

std::shared_ptr<Lookup> resolve(NetSession& net, const std::string& host, const std::string& port,
                                Steady::time_point until) {
    auto lookup = std::make_shared<Lookup>();
    lookup->host = host;
    lookup->port = port;
    std::thread([lookup] {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_family = AF_UNSPEC;
        lookup->rc = ::getaddrinfo(lookup->host.c_str(), lookup->port.c_str(), &hints, &lookup->found);
        lookup->finished.store(true, std::memory_order_release);
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t n = ::write(lookup->done.get(), &one, sizeof one);
    }).detach();

    using Kind = NetFault::Kind;
    switch (wait_for(lookup->done.get(), POLLIN, net.stop(), remaining(until))) {
    case Wait::stopped: net.set_fault(Kind::stopped, host, port, "stopped"); return nullptr;
    case Wait::timeout:
        net.set_fault(Kind::resolver, host, port, "name resolution timed out");
        return nullptr;
    case Wait::ready: break;
    }
    if (!lookup->finished.load(std::memory_order_acquire) || lookup->rc != 0) {
        const bool final = lookup->rc == EAI_NONAME || lookup->rc == EAI_FAIL || lookup->rc == EAI_NODATA;
        net.set_fault(final ? Kind::unresolved : Kind::resolver, host, port, ::gai_strerror(lookup->rc));
        return nullptr;
    }
    return lookup;
}

Fd connect_one(NetSession& net, const addrinfo& address, const std::string& host, const std::string& port,
               int timeout_ms) {
    using Kind = NetFault::Kind;
    Fd fd(
        ::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
    if (!fd) {
        net.set_fault(Kind::unreachable, host, port, system_text(errno));
        return {};
    }
    // libgit2 writes a request's head and its body apart. Nagle's algorithm would hold the body back until
    // the head is acknowledged, which the other kernel delays by 40 ms.
    const int on = 1;
    std::ignore = ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) {
        return fd;
    }
    if (errno != EINPROGRESS) {
        net.set_fault(Kind::unreachable, host, port, system_text(errno));
        return {};
    }
    switch (wait_for(fd.get(), POLLOUT, net.stop(), timeout_ms)) {
    case Wait::stopped: net.set_fault(Kind::stopped, host, port, "stopped"); return {};
    case Wait::timeout: net.set_fault(Kind::connect_timeout, host, port, "no answer in time"); return {};
    case Wait::ready: break;
    }
    int err = 0;
    socklen_t size = sizeof err;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &err, &size) != 0) {
        err = errno;
    }
    if (err != 0) {
        net.set_fault(err == ETIMEDOUT ? Kind::connect_timeout : Kind::unreachable, host, port,
                      system_text(err));
        return {};
    }
    return fd;
}

} // namespace

Fd connect_any(NetSession& net, const std::string& host, const std::string& port) {
    const auto whole = net.connect_timeout().count() > 0 ? net.connect_timeout() : Milliseconds(3'600'000);
    const Steady::time_point until = Steady::now() + whole;
    const std::shared_ptr<Lookup> lookup = resolve(net, host, port, until);
    if (!lookup) {
        return {};
    }
    int left = 0;
    for (const addrinfo* a = lookup->found; a != nullptr; a = a->ai_next) {
        ++left;
    }
    // Each address gets its share of the time, so that a silent IPv6 route does not eat IPv4's chance.
    for (const addrinfo* a = lookup->found; a != nullptr; a = a->ai_next, --left) {
        Fd fd = connect_one(net, *a, host, port, remaining(until) / std::max(left, 1));
        if (fd) {
            net.set_fault(NetFault::Kind::none, {}, {}, {}); // an earlier address's refusal is forgotten
            return fd;
        }
        if (net.stop().requested()) {
            return {};
        }
    }
    return {};
}

bool await_socket(NetSession& net, int socket, short events, const std::string& host,
                  const std::string& port) {
    const auto stall = net.stall_timeout();
    const int timeout =
        stall.count() > 0 ? static_cast<int>(std::min<std::int64_t>(stall.count(), 3'600'000)) : -1;
    switch (wait_for(socket, events, net.stop(), timeout)) {
    case Wait::ready: return true;
    case Wait::stopped: net.set_fault(NetFault::Kind::stopped, host, port, "stopped"); break;
    case Wait::timeout:
        net.set_fault(NetFault::Kind::stalled, host, port, "the server has gone silent");
        break;
    }
    return false;
}

namespace {

// ---- SSH: libssh2 reads its socket itself, so it gets one end of a pair and a thread moves the bytes.

struct Pipe {
    std::array<char, 65536> bytes{};
    std::size_t begin = 0;
    std::size_t end = 0;
    bool ended = false; ///< its source will give no more

    [[nodiscard]] bool empty() const { return begin == end; }

    /// False = the source is broken; `moved` tells whether bytes came.
    bool fill(int from, bool& moved) {
        moved = false;
        const ssize_t n = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (n > 0) {
            begin = 0;
            end = static_cast<std::size_t>(n);
            moved = true;
            return true;
        }
        if (n == 0) {
            ended = true;
            return true;
        }
        return errno == EAGAIN || errno == EINTR;
    }
    bool drain(int into) {
        const ssize_t n = ::send(into, bytes.data() + begin, end - begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            begin += static_cast<std::size_t>(n);
            return true;
        }
        return errno == EAGAIN || errno == EINTR;
    }
};

void relay(NetSession& net, int server, int client, const std::string& host, const std::string& port) {
    auto down = std::make_unique<Pipe>(); // server to client
    auto up = std::make_unique<Pipe>();
    Steady::time_point heard = Steady::now();
    const auto stall = net.stall_timeout();
    for (;;) {
        const auto wants = [](const Pipe& in, const Pipe& out) {
            return static_cast<short>((in.empty() && !in.ended ? POLLIN : 0) | (out.empty() ? 0 : POLLOUT));
        };
        // A side nothing is wanted from is left out: poll would report its hang-up over and over.
        const short of_server = wants(*down, *up);
        const short of_client = wants(*up, *down);
        std::array<pollfd, 3> polled{
            pollfd{.fd = of_server != 0 ? server : -1, .events = of_server, .revents = 0},
            pollfd{.fd = of_client != 0 ? client : -1, .events = of_client, .revents = 0},
            pollfd{.fd = net.stop().fd(), .events = POLLIN, .revents = 0}};
        const int wait = stall.count() > 0 ? std::max(1, remaining(heard + stall)) : 60'000;
        const int n = ::poll(polled.data(), polled.size(), wait);
        if (n < 0 && errno != EINTR) {
            break;
        }
        if (polled[2].revents != 0 || net.stop().requested()) {
            net.set_fault(NetFault::Kind::stopped, host, port, "stopped");
            break;
        }
        // While bytes lie here unread it is libssh2 that keeps us waiting, not the server.
        if (!down->empty() || net.quiet()) {
            heard = Steady::now();
        }
        if (stall.count() > 0 && Steady::now() - heard >= stall) {
            net.set_fault(NetFault::Kind::stalled, host, port, "the server has gone silent");
            break;
        }
        bool moved = false;
        if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && down->empty() && !down->ended) {
            if (!down->fill(server, moved)) {
                net.set_fault(NetFault::Kind::broken, host, port, system_text(errno));
                break;
            }
            if (moved) {
                heard = Steady::now();
                if (!net.received(down->end - down->begin)) {
                    break;
                }
            }
        }
        if (!down->empty() && !down->drain(client)) {
            break; // libssh2 has closed its end
        }
        if ((polled[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && up->empty() && !up->ended &&
            !up->fill(client, moved)) {
            break;
        }
        if (!up->empty() && !up->drain(server)) {
            net.set_fault(NetFault::Kind::broken, host, port, system_text(errno));
            break;
        }
        if (down->ended && down->empty()) {
            net.set_closed();
            break;
        }
        if (up->ended && up->empty()) {
            break;
        }
    }
    ::shutdown(client, SHUT_RDWR);
    ::shutdown(server, SHUT_RDWR);
}

// ---- The stream itself.

struct Stream {
    git_stream parent;
    char* host;
    char* port;
    int s;
    // Beyond libgit2's own members:
    NetSession* net;
    std::string* host_text;
    std::string* port_text;
    std::thread* pump;
    int far_end;      ///< SSH: our end of the pair
    int wire;         ///< SSH: the socket to the server
    bool carries_tls; ///< not in clear
    bool used;        ///< a request for a proxy has gone out
};

Stream& self(git_stream* stream) {
    return *reinterpret_cast<Stream*>(stream);
}

/// What libgit2 will show unless our classification, which asks the session, says it better.
int report(const NetSession& net) {
    const NetFault fault = net.fault();
    git_error_set_str(GIT_ERROR_NET, (fault.host + ": " + fault.detail).c_str());
    return -1;
}

int stream_connect(git_stream* stream) {
    Stream& st = self(stream);
    Fd fd = connect_any(*st.net, *st.host_text, *st.port_text);
    if (!fd) {
        return report(*st.net);
    }
    if (!st.net->for_ssh()) {
        st.s = fd.release();
        return 0;
    }
    std::array<int, 2> pair{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
        st.net->set_fault(NetFault::Kind::broken, *st.host_text, *st.port_text, system_text(errno));
        return report(*st.net);
    }
    st.wire = fd.release();
    st.s = pair[0];
    st.far_end = pair[1];
    st.pump = new std::thread(relay, std::ref(*st.net), st.wire, st.far_end, *st.host_text, *st.port_text);
    return 0;
}

bool await(const Stream& st, short events) {
    return await_socket(*st.net, st.s, events, *st.host_text, *st.port_text);
}

ssize_t stream_read(git_stream* stream, void* data, std::size_t size) {
    const Stream& st = self(stream);
    for (;;) {
        if (!await(st, POLLIN)) {
            return report(*st.net);
        }
        const ssize_t n = ::recv(st.s, data, size, MSG_DONTWAIT);
        if (n > 0) {
            const std::string_view piece(static_cast<const char*>(data), static_cast<std::size_t>(n));
            return st.net->received(piece.size()) && (st.carries_tls || st.net->heard(piece))
                       ? n
                       : report(*st.net);
        }
        if (n == 0) {
            st.net->set_closed();
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR) {
            st.net->set_fault(NetFault::Kind::broken, *st.host_text, *st.port_text, system_text(errno));
            return report(*st.net);
        }
    }
}

ssize_t send_some(const Stream& st, const char* data, std::size_t size) {
    for (;;) {
        if (!await(st, POLLOUT)) {
            return report(*st.net);
        }
        const ssize_t n = ::send(st.s, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            return n;
        }
        if (errno != EAGAIN && errno != EINTR) {
            st.net->set_fault(NetFault::Kind::broken, *st.host_text, *st.port_text, system_text(errno));
            return report(*st.net);
        }
    }
}

bool send_all(const Stream& st, std::string_view data) {
    while (!data.empty()) {
        const ssize_t n = send_some(st, data.data(), data.size());
        if (n < 0) {
            return false;
        }
        data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

/// Does this begin a request a proxy reads? libgit2 hands over a request's head in one piece.
bool for_proxy(std::string_view data) {
    return data.contains("\r\n") && (data.starts_with("CONNECT ") || data.starts_with("GET http://") ||
                                     data.starts_with("POST http://"));
}

ssize_t stream_write(git_stream* stream, const char* data, std::size_t size, int /*flags*/) {
    Stream& st = self(stream);
    if (!st.carries_tls) {
        const std::string_view request(data, size);
        st.net->said(request);
        // Proxies close after an answer and do not always say so; each request they read gets a new
        // connection.
        if (for_proxy(request) && std::exchange(st.used, true)) {
            Fd(std::exchange(st.s, -1)).reset();
            if (stream_connect(stream) < 0) {
                return -1;
            }
        }
        const std::string& authorization = st.net->proxy().authorization;
        if (!authorization.empty() && for_proxy(request)) {
            const std::size_t line = request.find("\r\n") + 2;
            const std::string with = std::string(request.substr(0, line)) +
                                     "Proxy-Authorization: " + authorization + "\r\n" +
                                     std::string(request.substr(line));
            return send_all(st, with) ? static_cast<ssize_t>(size) : report(*st.net);
        }
    }
    return send_some(st, data, size);
}

int stream_close(git_stream* stream) {
    Stream& st = self(stream);
    Fd(std::exchange(st.s, -1)).reset();
    if (st.pump != nullptr) {
        // With its peer gone the thread ends by itself once what is under way has been passed on; the
        // server's side is shut for reading so that it need not wait for an answer nobody wants.
        ::shutdown(st.wire, SHUT_RD);
        st.pump->join();
        delete std::exchange(st.pump, nullptr);
        Fd(std::exchange(st.far_end, -1)).reset();
        Fd(std::exchange(st.wire, -1)).reset();
    }
    return 0;
}

void stream_free(git_stream* stream) {
    stream_close(stream);
    Stream& st = self(stream);
    delete st.host_text;
    delete st.port_text;
    delete &st;
}

} // namespace

int make_socket_stream(git_stream** out, const char* host, const char* port, bool carries_tls) {
    NetSession* net = NetSession::current();
    if (net == nullptr) {
        git_error_set_str(GIT_ERROR_NET, "no network session");
        return -1;
    }
    auto* st = new Stream{};
    // What is not TLS to its end is either the proxy's by libgit2's own doing, or plain http, which is as
    // well.
    const HttpProxy& proxy = net->proxy();
    const bool proxied = !carries_tls && !proxy.host.empty();
    const std::string_view name = proxied ? std::string_view(proxy.host) : std::string_view(host);
    const bool bracketed = name.starts_with('[') && name.ends_with(']'); // IPv6 out of the scp-like form
    st->host_text = new std::string(bracketed ? name.substr(1, name.size() - 2) : name);
    st->port_text = new std::string(proxied ? std::string_view(proxy.port) : std::string_view(port));
    st->host = st->host_text->data();
    st->port = st->port_text->data();
    st->net = net;
    st->s = st->far_end = st->wire = -1;
    st->carries_tls = carries_tls;
    st->parent.version = GIT_STREAM_VERSION;
    st->parent.connect = stream_connect;
    st->parent.read = stream_read;
    st->parent.write = stream_write;
    st->parent.close = stream_close;
    st->parent.free = stream_free;
    *out = &st->parent;
    return 0;
}

int register_streams() {
    git_stream_registration registration{};
    registration.version = GIT_STREAM_VERSION;
    registration.init = [](git_stream** out, const char* host, const char* port) {
        return make_socket_stream(out, host, port, /*carries_tls=*/false);
    };
    return git_stream_register(GIT_STREAM_STANDARD, &registration);
}

} // namespace slipway::source
