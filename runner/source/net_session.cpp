// What one fetch's connections share and learn: see stream.hpp.
#include "base/retry.hpp"
#include "source/stream.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace slipway::source {
namespace {

thread_local NetSession* current_session = nullptr;

} // namespace

NetSession::NetSession(StopToken stop, Milliseconds connect_timeout, Milliseconds stall_timeout, bool for_ssh)
    : stop_(std::move(stop)), connect_timeout_(connect_timeout), stall_timeout_(stall_timeout),
      for_ssh_(for_ssh), outer_(std::exchange(current_session, this)) {}

NetSession::~NetSession() {
    current_session = outer_;
}

NetFault NetSession::fault() const {
    const std::scoped_lock lock(mutex_);
    return fault_;
}

void NetSession::set_fault(NetFault::Kind kind, std::string host, std::string port, std::string detail) {
    const std::scoped_lock lock(mutex_);
    fault_ = {.kind = kind, .host = std::move(host), .port = std::move(port), .detail = std::move(detail)};
}

bool NetSession::heard(std::string_view piece) {
    constexpr std::size_t longest_head = std::size_t{64} * 1024;
    if (for_ssh_ || head_.size() == longest_head || head_.contains("\r\n\r\n")) {
        return true;
    }
    head_ += piece.substr(0, longest_head - head_.size());
    if (head_.size() < longest_head || head_.contains("\r\n\r\n") || !head_.starts_with("HTTP/")) {
        return true;
    }
    set_fault(NetFault::Kind::too_much, {}, {}, "an endless head of an answer");
    return false;
}

bool NetSession::received(std::size_t bytes) {
    const std::uint64_t room = room_.load(std::memory_order_relaxed);
    if (room == 0) {
        return true;
    }
    if (bytes < room) {
        room_.store(room - bytes, std::memory_order_relaxed);
        return true;
    }
    set_fault(NetFault::Kind::too_much, {}, {}, "an endless list of refs");
    return false;
}

int NetSession::http_status() const {
    int status = 0;
    if (const std::size_t space = head_.find(' '); head_.starts_with("HTTP/") && space != std::string::npos) {
        std::from_chars(head_.data() + space + 1, head_.data() + head_.size(), status);
    }
    return status;
}

std::optional<std::chrono::seconds> NetSession::retry_after() const {
    std::string_view rest = head_;
    if (!rest.starts_with("HTTP/")) {
        return std::nullopt;
    }
    constexpr std::string_view name = "retry-after:";
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find("\r\n"), rest.size());
        const std::string_view line = rest.substr(0, end);
        if (line.empty()) {
            break;
        }
        if (line.size() > name.size() &&
            std::ranges::equal(line.substr(0, name.size()), name,
                               [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; })) {
            return parse_retry_after(line.substr(name.size()), std::chrono::system_clock::now());
        }
        rest.remove_prefix(std::min(end + 2, rest.size()));
    }
    return std::nullopt;
}

NetSession* NetSession::current() {
    return current_session;
}

} // namespace slipway::source
