// run() and capture(): two ways to take the same bytes.
#include "process/lines.hpp"
#include "process/process.hpp"
#include "process/supervise.hpp"

#include <algorithm>
#include <array>

namespace slipway::process {

namespace {

using TimePoint = std::chrono::steady_clock::time_point;

/// A prompt or a slow progress line should be seen even though its newline has not come.
constexpr Milliseconds longest_silence{250};

/// Four lanes, each assembling lines of its own: what the main process writes and what anybody else does, to
/// stdout and to stderr.
class LineSink final : public Sink {
  public:
    LineSink(const Limits& limits, const OnLine& on_line, bool blocks)
        : lanes_{Lane(Line{.stream = Stream::out, .from_main = true, .writer_known = true}, limits, on_line),
                 Lane(Line{.stream = Stream::out}, limits, on_line, blocks),
                 Lane(Line{.stream = Stream::err, .from_main = true, .writer_known = true}, limits, on_line),
                 Lane(Line{.stream = Stream::err}, limits, on_line)} {}

    void take(const Source& source, std::string_view bytes) override {
        Lane& lane = lanes_.at((source.stream == Stream::err ? 2U : 0U) + (source.from_main ? 0U : 1U));
        lane.splitter.set_writer_known(source.writer_known);
        lane.splitter.feed(bytes);
        lane.last = std::chrono::steady_clock::now();
    }

    void look(TimePoint now) override {
        for (Lane& lane : lanes_) {
            if (lane.splitter.holds_anything() && now >= lane.last + longest_silence) {
                lane.splitter.flush();
                lane.last = now;
            }
        }
    }

    [[nodiscard]] TimePoint due() const override {
        TimePoint first = TimePoint::max();
        for (const Lane& lane : lanes_) {
            if (lane.splitter.holds_anything()) {
                first = std::min(first, lane.last + longest_silence);
            }
        }
        return first;
    }

    void finish() override {
        for (Lane& lane : lanes_) {
            lane.splitter.finish();
        }
    }

  private:
    struct Lane {
        Lane(const Line& model, const Limits& limits, const OnLine& on_line, bool blocks = false)
            : splitter(model, limits.longest_piece, on_line, blocks) {}
        LineSplitter splitter;
        TimePoint last;
    };
    std::array<Lane, 4> lanes_;
};

class CaptureSink final : public Sink {
  public:
    CaptureSink(Captured& captured, std::size_t most_bytes) : captured_(captured), most_bytes_(most_bytes) {}

    void take(const Source& source, std::string_view bytes) override {
        std::string& text = source.stream == Stream::out ? captured_.out : captured_.err;
        const std::size_t room = most_bytes_ - std::min(most_bytes_, text.size());
        captured_.truncated = captured_.truncated || bytes.size() > room;
        text.append(bytes.substr(0, room));
    }
    void look(TimePoint) override {}
    [[nodiscard]] TimePoint due() const override { return TimePoint::max(); }
    void finish() override {}

  private:
    Captured& captured_;
    std::size_t most_bytes_;
};

} // namespace

Result<Exit> run(const Command& command, const Limits& limits, const StopToken& stop, const OnLine& on_line,
                 const OnTick& on_tick) {
    LineSink sink(limits, on_line, command.tell_writers && command.blocks);
    return supervise(command, limits, stop, sink, on_tick);
}

Result<Captured> capture(const Command& command, const Limits& limits, const StopToken& stop,
                         std::size_t most_bytes) {
    Captured captured;
    CaptureSink sink(captured, most_bytes);
    TRY_ASSIGN(captured.exit, supervise(command, limits, stop, sink, {}));
    return captured;
}

} // namespace slipway::process
