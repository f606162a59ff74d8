// A stream of frames as text for people: the plain form, for files, pipes and `frames render`.
//
// In: lines of a stream, frames and foreign ones, in order. Out: whole lines handed to the sink. The same
// lines and options give the same text, always: every time shown comes from the frames. Nothing from outside
// can act on the terminal: text is made valid UTF-8, escape sequences are dropped (colour, SGR, is kept where
// colour is on), other control and bidirectional-override characters are replaced, and every line of such
// text stands behind a gutter, so it cannot pass for one of ours.
#pragma once

#include "frames/reader.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace slipway::frames {

/// Takes text for people: whole lines (or, from LiveView, one whole update) at a time.
using TextSink = std::function<void(std::string_view)>;

enum class ShowLogs : std::uint8_t {
    all,
    failed_only, ///< of a command that failed, its last lines; of the others none
};

struct RenderOptions {
    bool colour = false;
    bool unicode = true; ///< false: marks and bars in ASCII
    int width = 0;       ///< columns to wrap at; 0 = never wrap (files, pipes)
    ShowLogs logs = ShowLogs::all;
};

/// How the stream ended, for an exit status.
enum class StreamOutcome : std::uint8_t {
    empty,       ///< no frame at all
    succeeded,   ///< every step ended in success
    failed,      ///< a step ended as failed
    cancelled,   ///< a step ended as cancelled
    incomplete,  ///< a step has no `end`
    unsupported, ///< frames of a newer protocol were met and not shown
};

class Renderer {
  public:
    Renderer(RenderOptions options, TextSink sink);
    ~Renderer();
    Renderer(Renderer&&) noexcept;
    Renderer& operator=(Renderer&&) noexcept;
    Renderer(const Renderer&) = delete;
    Renderer& operator=(const Renderer&) = delete;

    /// The next line, with or without its newline.
    void consume(std::string_view line);
    /// The same for a frame that is parsed already.
    void consume(const ReadFrame& frame);

    /// After the last line: results, timeline, closing line. Once; later calls do nothing.
    void finish();

    /// For what follows.
    void set_width(int columns);

    [[nodiscard]] StreamOutcome outcome() const noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace slipway::frames
