// What both renderers draw with: marks, tones, rows behind a head, a timeline. Internal to this room.
#pragma once

#include "frames/render.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames {

enum class Tone : std::uint8_t { plain, strong, faint, good, bad, caution, accent };

struct Marks {
    std::string_view good;
    std::string_view bad;
    std::string_view stopped;
    std::string_view caution;
    std::string_view step;
    std::string_view phase;
    std::string_view gutter;
    std::string_view foreign;
    std::string_view down;
    std::string_view up;
    std::string_view dot; ///< between facts on one line, with its spaces
    std::string_view more;
    std::string_view bar;
    std::string_view bar_rest;
};

/// Lines under way to the sink. Heads are our own words; texts are harmless() already.
class Page {
  public:
    explicit Page(RenderOptions options) : options_(options) {}

    [[nodiscard]] const Marks& marks() const noexcept;
    [[nodiscard]] std::string paint(Tone tone, std::string_view text) const;

    /// `head` + `text`, wrapped at the width if there is one; further rows stand behind `hang`, or as many
    /// spaces as `head` is wide. `words`: wrap between words.
    void row(std::string_view head, std::string_view text, bool words = true, std::string_view hang = {});
    /// A line to be copied: never wrapped, nothing in front.
    void verbatim(std::string_view text) { (out_ += text) += '\n'; }
    void blank() { out_ += '\n'; }

    /// Columns left of a line that begins with `used`; 160 where lines are not wrapped.
    [[nodiscard]] std::size_t room(std::size_t used) const noexcept;

    [[nodiscard]] std::string take() { return std::exchange(out_, {}); }
    [[nodiscard]] bool empty() const noexcept { return out_.empty(); }

    RenderOptions& options() noexcept { return options_; }

  private:
    RenderOptions options_;
    std::string out_;
};

using FrameTime = std::chrono::sys_time<std::chrono::milliseconds>;

struct Span {
    std::string label;  ///< harmless
    bool inner = false; ///< a phase within a step
    FrameTime start;
    FrameTime end;
};

/// A row for each span: label, duration, and where it lay in the whole.
void draw_timeline(Page& page, const std::vector<Span>& spans);

/// harmless() without colour: for everything but log text.
std::string clean(std::string_view text);

/// "registry/image:tag@sha256:0123456789ab", of a pulling phase's members; digests shortened.
std::string pull_name(const ReadFrame& frame);

/// "[2/9 app]", of a command frame; a stage that has only a number is not named.
std::string command_label(const ReadFrame& frame, const Marks& marks);

/// "sha256:0123456789ab" of a longer digest; anything else as it is, made harmless.
std::string short_digest(std::string_view digest);

} // namespace slipway::frames
