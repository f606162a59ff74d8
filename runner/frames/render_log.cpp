#include "frames/render_impl.hpp"
#include "frames/terminal_text.hpp"

#include <algorithm>
#include <format>
#include <string>
#include <utility>
#include <vector>

namespace slipway::frames {

namespace {

constexpr std::size_t longest_joined = std::size_t{64} << 10U;
constexpr std::string_view log_indent = "      ";

} // namespace

void Renderer::Impl::command(const ReadFrame& frame, FrameTime now) {
    const std::int64_t n = frame.integer("n").value_or(0);
    const std::string_view state = frame.text("state");
    if (step.commands.size() >= most_entries && !step.commands.contains(n)) {
        return;
    }
    Command& it = step.commands[n];
    if (it.label.empty() || state == "started") {
        it.label = command_label(frame, page.marks());
        it.text = clean(one_line(frame.text("text")));
    }
    if (state == "started") {
        flush_pending();
        it.started = now;
        pending = n;
        return;
    }
    flush_pieces(n);
    auto took = frame.milliseconds("duration_ms");
    if (!took && it.started) {
        took = now - *it.started;
    }
    const bool in_one_line = pending == n;
    pending.reset();
    if (state == "failed") {
        step.command_failed = true;
        if (in_one_line) {
            start_line(it, Tone::bad);
        }
        show_tail(it.tail, n);
    }
    std::string words;
    Tone tone = Tone::good;
    std::string_view mark = page.marks().good;
    if (state == "cached") {
        tone = Tone::accent;
        words = "cached";
    } else if (state == "failed") {
        tone = Tone::bad;
        mark = page.marks().bad;
        words = "failed" + (took ? " after " + humane_duration(*took) : "");
    } else {
        words = took ? humane_duration(*took) : "done";
    }
    const std::string begin =
        "  " + page.paint(Tone::faint, it.label) + " " + page.paint(tone, std::format("{} {}", mark, words));
    const bool silent_until_now = in_one_line || page.options().logs == ShowLogs::failed_only;
    instruction(begin + "  ", it.text, silent_until_now && state != "failed" ? Tone::plain : Tone::faint);
    it.tail = {};
    section = n;
}

void Renderer::Impl::instruction(const std::string& begin, std::string_view text, Tone tone) {
    const std::size_t room = page.room(columns_of(begin));
    page.row(begin, page.paint(tone, shortened(text, room, page.marks().more)), false);
}

void Renderer::Impl::start_line(const Command& it, Tone tone) {
    instruction("  " + page.paint(tone, it.label) + " ", it.text, Tone::strong);
}

void Renderer::Impl::flush_pending() {
    if (!pending) {
        return;
    }
    const std::int64_t n = *std::exchange(pending, std::nullopt);
    const auto it = step.commands.find(n);
    if (it != step.commands.end() && page.options().logs == ShowLogs::all) {
        start_line(it->second, Tone::accent);
        section = n;
    }
}

void Renderer::Impl::log(const ReadFrame& frame) {
    const std::int64_t n = frame.integer("n").value_or(0);
    const bool err = frame.text("stream") == "err";
    if (const auto dropped = frame.size("dropped"); dropped && *dropped > 0) {
        flush_pieces(std::nullopt);
        if (page.options().logs == ShowLogs::all) {
            page.row(std::string(log_indent),
                     page.paint(Tone::faint, std::format("{} {} of log left out", page.marks().more,
                                                         humane_bytes(*dropped))));
        }
    }
    if (frame.flag("tail") && !std::exchange(step.in_tail, true)) {
        flush_pieces(std::nullopt);
        section = 0;
        if (page.options().logs == ShowLogs::all) {
            page.row("  ", page.paint(Tone::faint,
                                      std::format("{} the last part of the log in full", page.marks().more)));
        }
    }
    // The next log of the same stream goes on with the line, whatever else it says.
    Pieces& held = step.pieces[err ? 1 : 0];
    if (!held.open) {
        held.n = n;
    }
    held.text += frame.text("text");
    held.open = frame.flag("more") && held.text.size() < longest_joined;
    if (!held.open) {
        log_line(err, held.n, std::exchange(held.text, {}));
    }
}

void Renderer::Impl::flush_pieces(std::optional<std::int64_t> n) {
    for (const bool err : {false, true}) {
        Pieces& held = step.pieces[err ? 1 : 0];
        if (held.open && (!n || held.n == *n)) {
            held.open = false;
            log_line(err, held.n, std::exchange(held.text, {}));
        }
    }
}

void Renderer::Impl::log_line(bool err, std::int64_t n, std::string_view raw) {
    std::string text =
        harmless(raw.ends_with('\r') ? raw.substr(0, raw.size() - 1) : raw, page.options().colour);
    const auto known = step.commands.find(n);
    if (page.options().logs == ShowLogs::failed_only) {
        (known != step.commands.end() ? known->second.tail : step.tail).add(err, std::move(text));
        return;
    }
    if (n != section) {
        if (known != step.commands.end()) {
            instruction(
                "  " + page.paint(Tone::faint, known->second.label + " " + std::string(page.marks().more)) +
                    " ",
                known->second.text, Tone::faint);
        }
        section = n;
    }
    log_row(err, text);
}

void Renderer::Impl::log_row(bool err, std::string_view text) {
    const std::string gutter =
        std::string(log_indent) + page.paint(err ? Tone::caution : Tone::faint, page.marks().gutter) + " ";
    page.row(gutter, text, false, gutter);
}

void Renderer::Impl::show_tail(LogTail& tail, std::int64_t n) {
    if (tail.lines.empty()) {
        return;
    }
    if (const auto it = step.commands.find(n); it != step.commands.end() && section != n) {
        start_line(it->second, Tone::bad);
    }
    if (tail.left_out != 0) {
        page.row(
            std::string(log_indent),
            page.paint(Tone::faint, std::format("{} {} earlier lines", page.marks().more, tail.left_out)));
    }
    for (const auto& [err, text] : tail.lines) {
        log_row(err, text);
    }
    tail = {};
}

void Renderer::Impl::progress(const ReadFrame& frame, FrameTime now) {
    const std::string unit = clean(frame.text("unit"));
    if (unit == "commands") {
        return; // the commands speak for themselves
    }
    auto key = std::pair(std::string(frame.text("what")), std::string(frame.text("id")));
    auto it = step.transfers.find(key);
    if (it == step.transfers.end()) {
        if (step.transfers.size() >= most_entries) {
            return;
        }
        it = step.transfers.emplace(std::move(key), Transfer{}).first;
        it->second.began = now;
        it->second.what = clean(frame.text("what"));
        it->second.id = short_digest(frame.text("id"));
        it->second.unit = unit;
    }
    Transfer& transfer = it->second;
    transfer.current = frame.size("current").value_or(0);
    transfer.total = frame.size("total");
    if (transfer.total && transfer.current >= *transfer.total && !transfer.shown) {
        show_transfer(transfer, now);
    }
}

void Renderer::Impl::show_transfer(Transfer& transfer, FrameTime now) {
    flush_pending();
    transfer.shown = true;
    const std::string amount = transfer.unit == "bytes"
                                   ? humane_bytes(transfer.current)
                                   : std::format("{} {}", transfer.current, transfer.unit);
    const Milliseconds took = now - transfer.began;
    page.row("  " + head(Tone::faint, transfer.what == "push" ? page.marks().up : page.marks().down),
             std::format("{}{}{}  {}", transfer.what, transfer.id.empty() ? "" : " ", transfer.id, amount) +
                 (took >= std::chrono::milliseconds(100) ? " in " + humane_duration(took) : ""));
    section = 0;
}

void Renderer::Impl::flush_transfers(FrameTime now) {
    for (auto& [key, transfer] : step.transfers) {
        if (!transfer.shown && transfer.current > 0 && !transfer.total) {
            show_transfer(transfer, now);
        }
    }
    step.transfers.clear();
}

void Renderer::Impl::heartbeat(const ReadFrame& frame) {
    const auto memory = frame.size("memory");
    const auto limit = frame.size("memory_limit");
    // Said once, because what comes next may be the kernel ending the build without a word.
    if (memory && limit && *limit > 0 && *memory / 9 >= *limit / 10 &&
        !std::exchange(step.memory_told, true)) {
        page.row(
            "  " + head(Tone::caution, page.marks().caution),
            std::format("memory is nearly used up: {} of {}", humane_bytes(*memory), humane_bytes(*limit)));
        section = 0;
    }
}

} // namespace slipway::frames
