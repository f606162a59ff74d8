#include "frames/page.hpp"

#include "base/clock.hpp"
#include "frames/terminal_text.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace slipway::frames {

namespace {

constexpr Marks unicode_marks{.good = "✓",
                              .bad = "✗",
                              .stopped = "■",
                              .caution = "!",
                              .step = "●",
                              .phase = "▸",
                              .gutter = "│",
                              .foreign = "┆",
                              .down = "↓",
                              .up = "↑",
                              .dot = " · ",
                              .more = "…",
                              .bar = "━",
                              .bar_rest = "─"};

constexpr Marks ascii_marks{.good = "+",
                            .bad = "x",
                            .stopped = "#",
                            .caution = "!",
                            .step = "*",
                            .phase = ">",
                            .gutter = "|",
                            .foreign = ":",
                            .down = "<",
                            .up = ">",
                            .dot = ", ",
                            .more = "...",
                            .bar = "=",
                            .bar_rest = "-"};

constexpr std::size_t unwrapped_room = 160;
constexpr std::size_t narrowest_text = 8;
constexpr std::size_t widest_timeline = 48;

} // namespace

const Marks& Page::marks() const noexcept {
    return options_.unicode ? unicode_marks : ascii_marks;
}

std::string Page::paint(Tone tone, std::string_view text) const {
    constexpr std::array<std::string_view, 7> codes{"", "1", "2", "32", "31", "33", "36"};
    if (!options_.colour || tone == Tone::plain || text.empty()) {
        return std::string(text);
    }
    return std::format("\x1b[{}m{}\x1b[0m", codes.at(static_cast<std::size_t>(tone)), text);
}

std::size_t Page::room(std::size_t used) const noexcept {
    if (options_.width <= 0) {
        return unwrapped_room;
    }
    const auto width = static_cast<std::size_t>(options_.width);
    return width > used + narrowest_text ? width - used : narrowest_text;
}

void Page::row(std::string_view head, std::string_view text, bool words, std::string_view hang) {
    const auto add = [&](std::string_view begin, std::string_view rest) {
        out_ += begin;
        out_ += rest;
        while (out_.ends_with(' ')) {
            out_.pop_back();
        }
        out_ += '\n';
    };
    if (options_.width <= 0) {
        add(head, text);
        return;
    }
    const std::size_t used = columns_of(head);
    if (used + narrowest_text > static_cast<std::size_t>(options_.width)) {
        // No room beside the head: what follows it goes on below.
        std::string begin;
        for (const std::string& part : wrap(std::string(head) + std::string(text), room(4), words)) {
            add(begin, part);
            begin = "    ";
        }
        return;
    }
    const std::string spaces(used, ' ');
    bool first = true;
    for (const std::string& part : wrap(text, room(used), words)) {
        add(first ? head : hang.empty() ? std::string_view(spaces) : hang, part);
        first = false;
    }
}

void draw_timeline(Page& page, const std::vector<Span>& spans) {
    if (spans.empty()) {
        return;
    }
    FrameTime begin = spans.front().start;
    FrameTime end = begin;
    std::size_t label_columns = 0;
    for (const Span& span : spans) {
        begin = std::min(begin, span.start);
        end = std::max(end, span.end);
        label_columns = std::max(label_columns, columns_of(span.label) + (span.inner ? 2 : 0));
    }
    label_columns = std::min<std::size_t>(label_columns, 24);
    const std::size_t columns = std::min(page.room(label_columns + 14), widest_timeline);
    const auto whole = std::max<std::int64_t>((end - begin).count(), 1);
    const auto column_at = [&](FrameTime time) {
        // A span of a damaged stream may end before it starts.
        const double share =
            std::clamp(static_cast<double>((time - begin).count()) / static_cast<double>(whole), 0.0, 1.0);
        return std::min(static_cast<std::size_t>(share * static_cast<double>(columns)), columns - 1);
    };
    for (const Span& span : spans) {
        std::string label =
            shortened((span.inner ? "  " : "") + span.label, label_columns, page.marks().more);
        label.append(label_columns - std::min(label_columns, columns_of(label)), ' ');
        const std::size_t from = column_at(span.start);
        const std::size_t to = std::max(column_at(span.end), from);
        std::string bar(from, ' ');
        std::string filled;
        for (std::size_t i = from; i <= to; ++i) {
            filled += span.inner ? page.marks().bar_rest : page.marks().bar;
        }
        bar += page.paint(span.inner ? Tone::faint : Tone::accent, filled);
        page.row(std::format("  {}  {:>7}  ", label, humane_duration(span.end - span.start)), bar, false);
    }
}

std::string clean(std::string_view text) {
    return harmless(text, false);
}

std::string pull_name(const ReadFrame& frame) {
    std::string name;
    const std::string registry = clean(frame.text("registry"));
    const std::string image = clean(frame.text("image"));
    // Some writers put the registry into the image name as well.
    name = registry.empty() || image.starts_with(registry + "/") ? image : registry + "/" + image;
    if (const std::string tag = clean(frame.text("tag")); !tag.empty()) {
        name += ":" + tag;
    }
    if (const std::string digest = short_digest(frame.text("digest")); !digest.empty()) {
        name += "@" + digest;
    }
    return name;
}

std::string command_label(const ReadFrame& frame, const Marks& marks) {
    std::string stage = shortened(clean(frame.text("stage")), 20, marks.more);
    if (stage.find_first_not_of("0123456789") == std::string::npos) {
        stage.clear();
    }
    return std::format("[{}/{}{}{}]", frame.integer("n").value_or(0), frame.integer("of").value_or(0),
                       stage.empty() ? "" : " ", stage);
}

std::string short_digest(std::string_view digest) {
    constexpr std::string_view algorithm = "sha256:";
    constexpr std::size_t shown = 12;
    const std::string_view hex = digest.starts_with(algorithm) ? digest.substr(algorithm.size()) : digest;
    if (hex.size() == 64 && hex.find_first_not_of("0123456789abcdef") == std::string_view::npos) {
        return std::string(digest.substr(0, digest.size() - hex.size() + shown));
    }
    return clean(digest);
}

} // namespace slipway::frames
