#include "frames/render.hpp"

#include "frames/render_impl.hpp"
#include "frames/terminal_text.hpp"

#include <algorithm>
#include <format>
#include <string>
#include <utility>
#include <vector>

namespace slipway::frames {

void Renderer::Impl::deliver() {
    if (!page.empty()) {
        sink(page.take());
    }
}

void Renderer::Impl::line(std::string_view text) {
    ++line_number;
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    if (!is_frame_line(text)) {
        foreign(text);
        return;
    }
    if (const auto parsed = parse_frame(text)) {
        frame(*parsed);
    } else if (parsed.error().code == newer_protocol) {
        if (!std::exchange(unsupported, true)) {
            flush_pending();
            page.row(head(Tone::bad, page.marks().bad), parsed.error().message);
            page.row("    ", "hint: " + parsed.error().hint);
        }
    } else {
        flush_pending();
        page.row("  " + page.paint(Tone::caution, page.marks().caution) + " ",
                 std::format("line {}: {}", line_number, parsed.error().message));
        foreign(text);
    }
}

void Renderer::Impl::foreign(std::string_view text) {
    if (text.empty()) {
        return;
    }
    flush_pending();
    section = 0;
    const std::string gutter = "  " + page.paint(Tone::faint, page.marks().foreign) + " ";
    page.row(gutter, harmless(text, page.options().colour), false, gutter);
}

void Renderer::Impl::frame(const ReadFrame& frame) {
    any_frame = true;
    const FrameTime now = frame.time.value_or(step.last);
    // A command that ends before anything else happened is shown on one line.
    const bool its_end = frame.kind == "command" && frame.integer("n") == pending;
    const bool silent = frame.kind == "progress" || frame.kind == "timing" || frame.kind == "layer" ||
                        frame.kind == "image" || frame.kind == "result" || frame.kind == "reproduce";
    if (!its_end && !silent) {
        flush_pending();
    }
    if (frame.kind == "hello") {
        hello(frame, now);
    }
    step.last = std::max(step.last, now);
    if (frame.kind == "phase") {
        phase(frame, now);
    } else if (frame.kind == "command") {
        command(frame, now);
    } else if (frame.kind == "log") {
        log(frame);
    } else if (frame.kind == "progress") {
        progress(frame, now);
    } else if (frame.kind == "heartbeat") {
        heartbeat(frame);
    } else if (frame.kind == "warning") {
        warning(frame);
    } else if (frame.kind == "image") {
        step.image = frame;
    } else if (frame.kind == "layer") {
        if (frame.text("from") == "own") {
            ++step.own_layers;
            step.own_bytes += frame.size("size").value_or(0);
        }
    } else if (frame.kind == "result") {
        if (results.size() < most_entries) {
            results.emplace_back(clean(frame.text("name")), clean(frame.text("value")));
        }
    } else if (frame.kind == "reproduce") {
        if (step.reproduce.size() < tail_bytes) {
            step.reproduce += frame.text("command");
        }
    } else if (frame.kind == "error") {
        error(frame);
    } else if (frame.kind == "end") {
        end(frame, now);
    }
}

std::string Renderer::Impl::head(Tone tone, std::string_view mark) const {
    return page.paint(tone, mark) + " ";
}

void Renderer::Impl::hello(const ReadFrame& frame, FrameTime now) {
    if (step.open) {
        unended();
    }
    const std::string build = clean(frame.text("build_id"));
    const std::int64_t attempt = frame.integer("attempt").value_or(1);
    const auto identity = std::pair(build, attempt);
    const bool another = !known_build || *known_build != identity;
    if (another) {
        // What an earlier attempt left says nothing about this one.
        spans.clear();
        results.clear();
        worst = StreamOutcome::succeeded;
        steps_ended = 0;
        known_build = identity;
    }
    if (any_step) {
        page.blank();
    }
    any_step = true;
    step = Step{};
    step.name = clean(frame.step);
    step.began = step.last = step.phase_began = now;
    step.open = true;
    step.span = spans.size();
    if (spans.size() < most_entries) {
        spans.push_back({.label = step.name, .inner = false, .start = now, .end = now});
    }
    section = 0;

    std::vector<std::string> facts;
    if (another) {
        facts.push_back("slipway " + clean(frame.text("version")));
        if (!build.empty()) {
            facts.push_back("build " + build);
        }
        if (attempt > 1) {
            facts.push_back(std::format("attempt {}", attempt));
        }
    }
    const std::string title =
        head(Tone::accent, page.marks().step) + page.paint(Tone::strong, step.name) + (another ? "   " : "");
    page.row(title, page.paint(Tone::faint, joined(facts)));
    if (const std::string does = clean(frame.text("does")); !does.empty()) {
        page.row("  ", does);
    }
    facts.clear();
    if (const std::string recipe = clean(frame.text("recipe.name")); !recipe.empty()) {
        const std::string reason = clean(frame.text("recipe.reason"));
        facts.push_back("recipe " + recipe + (reason.empty() ? "" : " (" + reason + ")"));
    }
    if (const std::string driver = clean(frame.text("storage.driver")); !driver.empty()) {
        facts.push_back("storage " + driver);
    }
    if (const auto memory = frame.size("limits.memory")) {
        facts.push_back("memory " + humane_bytes(*memory));
    }
    if (const auto timeout = frame.milliseconds("limits.timeout_ms")) {
        facts.push_back("at most " + humane_duration(*timeout));
    }
    if (!facts.empty()) {
        page.row("  ", page.paint(Tone::faint, joined(facts)));
    }
}

std::string Renderer::Impl::joined(const std::vector<std::string>& facts) const {
    std::string text;
    for (const std::string& fact : facts) {
        text += text.empty() ? "" : page.marks().dot;
        text += fact;
    }
    return text;
}

void Renderer::Impl::unended() {
    worst = std::max(worst, StreamOutcome::incomplete);
    page.row("  " + head(Tone::bad, page.marks().bad),
             step.name + " stopped without an end: its outcome is unknown");
    close_phase(step.last);
    step.open = false;
}

void Renderer::Impl::close_phase(FrameTime now) {
    if (step.span < spans.size()) {
        spans[step.span].end = now;
    }
    if (!step.phase.empty() && spans.size() < most_entries) {
        spans.push_back({.label = step.phase, .inner = true, .start = step.phase_began, .end = now});
    }
    step.phase.clear();
}

void Renderer::Impl::phase(const ReadFrame& frame, FrameTime now) {
    flush_transfers(now);
    close_phase(now);
    const std::string name = clean(frame.text("name"));
    if (name == "complete" || name == "error") {
        return; // the end and the error say it
    }
    step.phase = name;
    step.phase_began = now;
    section = 0;
    std::string text = name;
    if (const std::string what = pull_name(frame); !what.empty()) {
        text += " " + what;
    }
    if (const std::string user = clean(frame.text("username")); !user.empty()) {
        text += " as " + user;
    }
    const Milliseconds since = now - step.began;
    page.row("  " + head(Tone::accent, page.marks().phase),
             page.paint(Tone::accent, text) + (since >= std::chrono::seconds(1)
                                                   ? page.paint(Tone::faint, "  +" + humane_duration(since))
                                                   : ""));
}

void Renderer::Impl::warning(const ReadFrame& frame) {
    const std::string rule = clean(frame.text("rule"));
    page.row("  " + head(Tone::caution, page.marks().caution),
             page.paint(Tone::caution, rule.empty() ? clean(frame.text("code")) : rule) + ": " +
                 clean(frame.text("message")));
    place(frame);
    note("hint", frame.text("hint"));
    section = 0;
}

void Renderer::Impl::place(const ReadFrame& frame) {
    if (const std::string file = clean(frame.text("where.file")); !file.empty()) {
        const std::int64_t number = frame.integer("where.line").value_or(0);
        const std::int64_t column = frame.integer("where.column").value_or(0);
        note("at", file + (number > 0 ? std::format(":{}", number) : "") +
                       (number > 0 && column > 0 ? std::format(":{}", column) : ""));
        quote(frame.text("where.quote"), number, column);
    }
}

void Renderer::Impl::note(std::string_view name, std::string_view text) {
    std::string label = std::format("    {:<6} ", name);
    while (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        page.row(page.paint(Tone::faint, label), clean(text.substr(0, end)));
        label.assign(label.size(), ' ');
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

void Renderer::Impl::error(const ReadFrame& frame) {
    flush_pieces(std::nullopt);
    if (!step.command_failed) {
        show_tail(step.tail, 0);
    }
    last_error_code = clean(frame.text("code"));
    page.row("  " + head(Tone::bad, page.marks().bad),
             page.paint(Tone::bad, last_error_code) + ": " +
                 page.paint(Tone::strong, clean(frame.text("message"))));
    place(frame);
    note("cause", frame.text("cause"));
    note("hint", frame.text("hint"));
    if (!step.reproduce.empty()) {
        note("again", "this line repeats the build elsewhere:");
        page.verbatim(clean(step.reproduce));
    }
    section = 0;
}

void Renderer::Impl::quote(std::string_view text, std::int64_t number, std::int64_t column) {
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    if (text.empty()) {
        return;
    }
    const std::string label = number > 0 ? std::to_string(number) : "";
    const std::string gutter = page.paint(Tone::faint, page.marks().gutter) + " ";
    const std::string begin = "    " + page.paint(Tone::faint, label) + " " + gutter;
    const std::string empty_begin = "    " + std::string(label.size(), ' ') + " " + gutter;
    const std::size_t room = page.room(columns_of(begin));
    page.row(begin, shortened(clean(text), room, page.marks().more), false);
    if (column > 0 && std::cmp_less_equal(column, text.size() + 1)) {
        const std::size_t before = columns_of(clean(text.substr(0, static_cast<std::size_t>(column) - 1)));
        if (before < room) {
            page.row(empty_begin + std::string(before, ' '), page.paint(Tone::bad, "^"), false);
        }
    }
}

void Renderer::Impl::end(const ReadFrame& frame, FrameTime now) {
    flush_pieces(std::nullopt);
    flush_transfers(now);
    const std::string_view status = frame.text("status");
    const std::int64_t exit = frame.integer("exit").value_or(0);
    if (status != "succeeded" && !step.command_failed) {
        show_tail(step.tail, 0);
    }
    close_phase(now);
    step.open = false;
    ++steps_ended;
    image();
    Tone tone = Tone::bad;
    std::string_view mark = page.marks().bad;
    std::string_view words = "failed";
    StreamOutcome outcome = StreamOutcome::failed;
    if (status == "succeeded") {
        tone = Tone::good;
        mark = page.marks().good;
        words = "succeeded";
        outcome = StreamOutcome::succeeded;
    } else if (status == "cancelled") {
        tone = Tone::caution;
        mark = page.marks().stopped;
        words = "cancelled";
        outcome = StreamOutcome::cancelled;
    }
    worst = std::max(worst, outcome);
    if (outcome != StreamOutcome::succeeded) {
        last_exit = exit;
        failed_step = step.name;
    }
    page.row("  " + head(tone, mark),
             page.paint(tone, std::format("{} {}", step.name, words)) +
                 std::format("{} {}", exit != 0 ? std::format(" (exit {})", exit) : "",
                             (outcome == StreamOutcome::succeeded ? "in " : "after ") +
                                 humane_duration(now - step.began)));
    std::vector<std::string> facts;
    if (const auto dropped = frame.size("totals.dropped").value_or(0); dropped > 0) {
        facts.push_back(humane_bytes(dropped) + " of log left out");
    }
    if (const auto masked = frame.size("totals.redactions").value_or(0); masked > 0) {
        facts.push_back(std::format("{} secret{} masked", masked, masked == 1 ? "" : "s"));
    }
    if (const std::string archive = clean(frame.text("archive")); !archive.empty()) {
        facts.push_back("whole log: " + archive);
    }
    if (!facts.empty()) {
        page.row("    ", page.paint(Tone::faint, joined(facts)));
    }
}

void Renderer::Impl::image() {
    if (!step.image) {
        return;
    }
    const ReadFrame& frame = *step.image;
    std::vector<std::string> facts{"image " + short_digest(frame.text("digest"))};
    if (const std::string platform = clean(frame.text("platform")); !platform.empty()) {
        facts.push_back(platform);
    }
    std::string size = humane_bytes(frame.size("size").value_or(0));
    size += std::format(" in {} layers", frame.integer("layers").value_or(0));
    if (step.own_layers != 0) {
        size += std::format(", {} of them new ({})", step.own_layers, humane_bytes(step.own_bytes));
    }
    facts.push_back(std::move(size));
    page.row("  " + head(Tone::accent, page.marks().phase), joined(facts));
    step.image.reset();
}

StreamOutcome Renderer::Impl::outcome() const noexcept {
    if (unsupported) {
        return StreamOutcome::unsupported;
    }
    if (!any_frame) {
        return StreamOutcome::empty;
    }
    return step.open || steps_ended == 0 ? StreamOutcome::incomplete : worst;
}

void Renderer::Impl::finish() {
    if (std::exchange(finished, true)) {
        return;
    }
    flush_pending();
    flush_pieces(std::nullopt);
    if (step.open) {
        unended();
    }
    if (!results.empty()) {
        page.blank();
        page.row("", page.paint(Tone::strong, "Results"));
        std::size_t widest = 0;
        for (const auto& [name, value] : results) {
            widest = std::max(widest, columns_of(name));
        }
        widest = std::min<std::size_t>(widest, 32);
        for (const auto& [name, value] : results) {
            const std::string label = shortened(name, widest, page.marks().more);
            page.row("  " + page.paint(Tone::accent, label) +
                         std::string(widest - columns_of(label) + 2, ' '),
                     value, false);
        }
    }
    order_spans();
    if (spans.size() > 2) { // one step with one phase is on the closing line
        page.blank();
        page.row("", page.paint(Tone::strong, "Time"));
        draw_timeline(page, spans);
    }
    closing_line();
}

void Renderer::Impl::order_spans() {
    std::ranges::stable_sort(spans, [](const Span& a, const Span& b) {
        return a.start != b.start ? a.start < b.start : !a.inner && b.inner;
    });
}

void Renderer::Impl::closing_line() {
    if (!any_frame && !unsupported) {
        page.row(head(Tone::caution, page.marks().caution), "no frames in this stream");
        return;
    }
    page.blank();
    Milliseconds whole{0};
    if (!spans.empty()) {
        FrameTime last = spans.front().end;
        for (const Span& span : spans) {
            last = std::max(last, span.end);
        }
        whole = last - spans.front().start;
    }
    switch (outcome()) {
    case StreamOutcome::succeeded:
        page.row(head(Tone::good, page.marks().good),
                 page.paint(Tone::good, "succeeded in " + humane_duration(whole)));
        break;
    case StreamOutcome::failed:
        page.row(
            head(Tone::bad, page.marks().bad),
            page.paint(Tone::bad, std::format("failed in {} after {}", failed_step, humane_duration(whole))) +
                std::format(" ({}{}exit {})", last_error_code, last_error_code.empty() ? "" : ", ",
                            last_exit));
        break;
    case StreamOutcome::cancelled:
        page.row(head(Tone::caution, page.marks().stopped),
                 page.paint(Tone::caution, "cancelled after " + humane_duration(whole)) +
                     std::format(" (exit {})", last_exit));
        break;
    case StreamOutcome::unsupported:
        page.row(head(Tone::bad, page.marks().bad),
                 page.paint(Tone::bad, "not all of this stream could be read"));
        break;
    case StreamOutcome::empty:
    case StreamOutcome::incomplete:
        page.row(head(Tone::bad, page.marks().bad),
                 page.paint(Tone::bad, "incomplete: the stream stops before the end of its last step"));
        note("hint", "the container's own status says why (OOMKilled, evicted, node lost)");
        break;
    }
}

Renderer::Renderer(RenderOptions options, TextSink sink)
    : impl_(std::make_unique<Impl>(options, std::move(sink))) {}
Renderer::~Renderer() = default;
Renderer::Renderer(Renderer&&) noexcept = default;
Renderer& Renderer::operator=(Renderer&&) noexcept = default;

void Renderer::consume(std::string_view line) {
    impl_->line(line);
    impl_->deliver();
}

void Renderer::consume(const ReadFrame& frame) {
    impl_->frame(frame);
    impl_->deliver();
}

void Renderer::finish() {
    impl_->finish();
    impl_->deliver();
}

void Renderer::set_width(int columns) {
    impl_->page.options().width = columns;
}

StreamOutcome Renderer::outcome() const noexcept {
    return impl_->outcome();
}

} // namespace slipway::frames
