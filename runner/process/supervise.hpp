// Watching one child from start to end: the event loop behind run() and capture().
#pragma once

#include "process/process.hpp"

#include <optional>

namespace slipway::process {

/// Who wrote a chunk of bytes.
struct Source {
    Stream stream = Stream::out;
    bool from_main = false;
    bool writer_known = false;
};

/// Takes what the child prints, chunk by chunk. May throw.
class Sink {
  public:
    virtual ~Sink() = default;
    virtual void take(const Source& source, std::string_view bytes) = 0;
    /// Called at least every 250 ms; `now` is the time the sink may compare with that of its last take().
    virtual void look(std::chrono::steady_clock::time_point now) = 0;
    /// When look() wants to be called next; time_point::max() = any time.
    [[nodiscard]] virtual std::chrono::steady_clock::time_point due() const = 0;
    /// Nothing more will come.
    virtual void finish() = 0;
};

/// Which writer of stdout is the main one: the first. 0 is a writer that the kernel did not name.
class MainWriter {
  public:
    /// Takes note that `writer` wrote; true = it is the main one.
    bool is(pid_t writer) noexcept {
        if (!first_) {
            first_ = writer;
        }
        return writer > 0 && writer == *first_;
    }
    /// Whether `writer` of stderr may be believed as the main one: itself, the child, or anybody before the
    /// first word on stdout, since nobody but the child's own processes is there yet.
    [[nodiscard]] bool vouches_for(pid_t writer, pid_t child) const noexcept {
        return writer > 0 && (!first_ || writer == *first_ || writer == child);
    }
    [[nodiscard]] bool known() const noexcept { return first_.has_value(); }
    /// The main writer is gone; its pid may go to another process. Nobody is main any more.
    void retire() noexcept { first_ = 0; }
    /// Its pid; 0 = none (any more).
    [[nodiscard]] pid_t pid() const noexcept { return first_.value_or(0); }

  private:
    std::optional<pid_t> first_;
};

Result<Exit> supervise(const Command& command, const Limits& limits, const StopToken& stop, Sink& sink,
                       const OnTick& on_tick);

} // namespace slipway::process
