#include "process/lines.hpp"

#include <algorithm>
#include <cstring>

namespace slipway::process {

namespace {

const char* find(const char* from, const char* end, char wanted) {
    const auto size = static_cast<std::size_t>(end - from);
    const void* found = size == 0 ? nullptr : std::memchr(from, wanted, size);
    return found == nullptr ? end : static_cast<const char*>(found);
}

} // namespace

std::size_t whole_characters(std::string_view text) noexcept {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xC0U) == 0x80U) {
            continue;
        }
        const std::size_t needed = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
        const std::size_t whole = needed > back ? text.size() - back : text.size();
        return whole == 0 ? text.size() : whole;
    }
    return text.size();
}

LineSplitter::LineSplitter(const Line& model, std::size_t longest_piece, const OnLine& sink, bool blocks)
    : model_(model), longest_(std::max<std::size_t>(longest_piece, 16)), sink_(sink), blocks_(blocks) {
    held_.reserve(longest_);
}

void LineSplitter::emit(std::string_view text, LineEnd end) {
    if (sink_) {
        model_.text = text;
        model_.end = end;
        sink_(model_);
    }
}

/// Hands out what exceeds one piece of held_ + `text`. What is left of the two is either all in held_ (then
/// nothing is returned) or all in the returned rest (then held_ is empty).
std::string_view LineSplitter::shed(std::string_view text) {
    while (!held_.empty()) {
        const std::size_t room = longest_ - held_.size();
        const std::size_t taken = std::min(room, text.size());
        held_.append(text.substr(0, taken));
        text.remove_prefix(taken);
        if (text.empty()) {
            return text;
        }
        const std::size_t cut = whole_characters(held_);
        emit(std::string_view(held_).substr(0, cut), LineEnd::partial);
        held_.erase(0, cut);
    }
    while (text.size() > longest_) {
        const std::size_t cut = whole_characters(text.substr(0, longest_));
        emit(text.substr(0, cut), LineEnd::partial);
        text.remove_prefix(cut);
    }
    return text;
}

void LineSplitter::complete(std::string_view text, LineEnd end) {
    const std::string_view rest = shed(text);
    if (held_.empty()) {
        emit(rest, end);
    } else {
        emit(held_, end);
        held_.clear();
    }
}

/// Hands out the whole lines of `bytes` as one, if no '\r' is among them; returns the rest.
std::string_view LineSplitter::feed_block(std::string_view bytes) {
    if (return_held_ || bytes.contains('\r')) {
        return bytes;
    }
    if (!held_.empty()) {
        const std::size_t newline = bytes.find('\n');
        if (newline == std::string_view::npos) {
            return bytes;
        }
        complete(bytes.substr(0, newline), LineEnd::newline);
        bytes.remove_prefix(newline + 1);
    }
    const std::size_t last = bytes.rfind('\n');
    if (last != std::string_view::npos) {
        emit(bytes.substr(0, last), LineEnd::newline);
        bytes.remove_prefix(last + 1);
    }
    return bytes;
}

void LineSplitter::feed(std::string_view bytes) {
    if (blocks_) {
        bytes = feed_block(bytes);
    }
    if (bytes.empty()) {
        return;
    }
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    if (return_held_) {
        return_held_ = false;
        const bool newline = *at == '\n';
        at += newline ? 1 : 0;
        complete({}, newline ? LineEnd::newline : LineEnd::carriage_return);
    }
    // The first of each at or behind `at`. Kept until passed, so that every byte is looked at twice, whatever
    // the mixture.
    const char* newline = find(at, end, '\n');
    const char* carriage_return = find(at, end, '\r');
    while (at != end) {
        if (newline < at) {
            newline = find(at, end, '\n');
        }
        if (carriage_return < at) {
            carriage_return = find(at, end, '\r');
        }
        const char* const stop = std::min(newline, carriage_return);
        const std::string_view text(at, static_cast<std::size_t>(stop - at));
        if (stop == end || (*stop == '\r' && stop + 1 == end)) {
            held_.append(shed(text));
            return_held_ = stop != end;
            return;
        }
        at = stop + 1;
        if (*stop == '\n') {
            complete(text, LineEnd::newline);
        } else if (*at == '\n') {
            ++at;
            complete(text, LineEnd::newline);
        } else {
            complete(text, LineEnd::carriage_return);
        }
    }
}

void LineSplitter::flush() {
    if (return_held_) {
        return_held_ = false;
        complete({}, LineEnd::carriage_return);
    } else if (!held_.empty()) {
        const std::size_t cut = whole_characters(held_);
        emit(std::string_view(held_).substr(0, cut), LineEnd::partial);
        held_.erase(0, cut);
    }
}

void LineSplitter::finish() {
    while (holds_anything()) {
        flush();
    }
}

} // namespace slipway::process
