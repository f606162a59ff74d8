#include "buildah/lines.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace slipway::buildah {

namespace {

constexpr std::size_t tail_lines = 64;
constexpr std::size_t tail_bytes = 16U << 10U;
constexpr std::size_t longest_text = 4096; ///< of any one event: what is longer is cut, never dropped
constexpr std::size_t most_open = 256;     ///< stages; more than any Dockerfile has

std::string bounded(std::string_view text) {
    return to_valid_utf8(text.substr(0, longest_text));
}

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

/// A count of stages or steps: 1 … 99999.
bool take_number(std::string_view& text, int& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < 1 || value > 99'999) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

/// "3/7" and what must follow.
bool take_fraction(std::string_view& text, int& part, int& whole, std::string_view after) {
    return take_number(text, part) && take(text, "/") && take_number(text, whole) && part <= whole &&
           take(text, after);
}

bool hexadecimal(std::string_view text, std::size_t least, std::size_t most) {
    return text.size() >= least && text.size() <= most &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// "[linux/arm64] " stands before everything when several platforms are built at once.
void skip_platform(std::string_view& text) {
    if (!text.starts_with('[')) {
        return;
    }
    const std::size_t end = text.find("] ");
    if (end > 64) {
        return;
    }
    const std::string_view inside = text.substr(1, end - 1);
    const bool platform =
        inside.contains('/') && std::ranges::any_of(inside, [](char c) { return c >= 'a' && c <= 'z'; });
    if (platform) {
        text.remove_prefix(end + 2);
    }
}

std::optional<Copying> copying(std::string_view line) {
    using What = Copying::What;
    static constexpr std::pair<std::string_view, What> prefixes[] = {
        {"Trying to pull ", What::trying},
        {"Getting image source signatures", What::signatures},
        {"Copying blob ", What::blob},
        {"Copying config ", What::config},
        {"Writing manifest to ", What::manifest},
        {"Storing signatures", What::done},
    };
    for (const auto& [prefix, what] : prefixes) {
        std::string_view rest = line;
        if (!take(rest, prefix)) {
            continue;
        }
        if (what == What::trying) {
            if (rest.ends_with("...")) {
                rest.remove_suffix(3);
            }
            return Copying{what, bounded(rest)};
        }
        if (what == What::blob) {
            // "sha256:… skipped: already exists", "sha256:… done"
            const std::size_t space = rest.find(' ');
            const std::string_view state =
                space == std::string_view::npos ? std::string_view{} : rest.substr(space);
            return Copying{state.contains("skipped") ? What::blob_skipped : What::blob,
                           bounded(rest.substr(0, space))};
        }
        return Copying{what, what == What::config ? bounded(rest.substr(0, rest.find(' '))) : std::string{}};
    }
    return std::nullopt;
}

/// The message of a line of buildah's logger: time="…" level=warning msg="…".
std::optional<std::string> logged(std::string_view line) {
    if (!line.starts_with("time=\"")) {
        return std::nullopt;
    }
    std::size_t at = line.find(" msg=\"");
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    std::string text;
    for (at += 6; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\' && at + 1 < line.size()) {
            ++at;
            text += line[at] == 'n' ? ' ' : line[at];
        } else {
            text += line[at];
        }
    }
    return bounded(text);
}

} // namespace

void Interpreter::Tail::add(std::string_view line) {
    lines.push_back(bounded(line));
    bytes += lines.back().size();
    while (lines.size() > tail_lines || (bytes > tail_bytes && lines.size() > 1)) {
        bytes -= lines.front().size();
        lines.pop_front();
    }
}

std::vector<std::string> Interpreter::error_tail() const {
    return tail_.all();
}

std::vector<std::string> Interpreter::helper_tail() const {
    return helper_tail_.all();
}

Event Interpreter::feed(Stream stream, std::string_view line, bool trusted) {
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    if (!trusted) {
        if (stream == Stream::err) {
            helper_tail_.add(line);
        }
        return Output{stream, std::string(line)};
    }
    return stream == Stream::out ? interpret_out(line) : interpret_err(line);
}

Event Interpreter::step(StepStarted step) {
    // A stage has one step at a time, so its former one is over. FROM never gets a "-->" of its own.
    std::erase_if(open_, [&](const StepStarted& other) { return other.stage == step.stage; });
    cached_.reset();
    if (step.position > 1 && open_.size() < most_open) {
        open_.push_back(step);
    }
    current_ = step;
    return step;
}

/// "--> Using cache <id>", "--> <id>": of the step last started that is still open, because a stage waiting
/// for another's result has announced its own step already.
Event Interpreter::arrow(std::string_view rest) {
    const StepStarted at = !open_.empty() ? open_.back() : current_.value_or(StepStarted{});
    if (take(rest, "Using cache ")) {
        if (!hexadecimal(rest, 12, 64)) {
            return Output{Stream::out, "--> Using cache " + std::string(rest)};
        }
        if (!open_.empty()) {
            open_.pop_back();
        }
        cached_ = Cached{at.stage, at.position, std::string(rest)};
        return *cached_;
    }
    if (!hexadecimal(rest, 12, 64)) {
        return Output{Stream::out, "--> " + std::string(rest)};
    }
    if (cached_ && cached_->image_id.starts_with(rest)) {
        LayerCommitted layer{cached_->stage, cached_->position, std::string(rest)};
        cached_.reset();
        return layer;
    }
    if (!open_.empty()) {
        open_.pop_back();
    }
    return LayerCommitted{at.stage, at.position, std::string(rest)};
}

Event Interpreter::interpret_out(std::string_view line) {
    std::string_view rest = line;
    skip_platform(rest);
    StepStarted found;
    if (take(rest, "[") && !take_fraction(rest, found.stage, found.stages, "] ")) {
        rest = line;
    }
    if (take(rest, "STEP ")) {
        if (take_fraction(rest, found.position, found.count, ": ")) {
            found.text = bounded(rest);
            return step(std::move(found));
        }
        return Output{Stream::out, std::string(line)};
    }
    if (rest == "COMMIT" || rest.starts_with("COMMIT ")) {
        rest.remove_prefix(std::min(rest.size(), std::string_view("COMMIT ").size()));
        return CommitStarted{found.stage, found.stages, bounded(rest)};
    }
    rest = line;
    if (take(rest, "--> ")) {
        return arrow(rest);
    }
    if (hexadecimal(line, 64, 64)) {
        return ImageCommitted{std::string(line)};
    }
    if (take(rest, "Successfully tagged ")) {
        return Tagged{bounded(rest)};
    }
    if (take(rest, "[Warning] ")) {
        return ErrorText{bounded(rest), false};
    }
    return Output{Stream::out, std::string(line)};
}

Event Interpreter::interpret_err(std::string_view line) {
    if (auto found = copying(line)) {
        return *std::move(found);
    }
    tail_.add(line);
    std::string_view rest = line;
    if (take(rest, "Error: ")) {
        return ErrorText{bounded(rest), true};
    }
    if (take(rest, "WARNING: ")) {
        return ErrorText{bounded(rest), false};
    }
    if (auto message = logged(line)) {
        return ErrorText{*std::move(message), false};
    }
    return Output{Stream::err, std::string(line)};
}

} // namespace slipway::buildah
