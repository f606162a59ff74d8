#include "frames/redact.hpp"

#include "base/encoding.hpp"
#include "frames/automaton.hpp"
#include "frames/encode.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace slipway::frames {

namespace {

constexpr std::string_view white_space = " \t\r\n";
constexpr std::string_view mask_text = "***";

using Patterns = std::set<std::string, std::less<>>;

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(white_space);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

void insert(Patterns& patterns, std::string_view pattern, std::size_t shortest) {
    if (pattern.size() >= shortest) {
        patterns.emplace(pattern);
    }
}

/// The part of base64 text that depends on nothing but the secret, when the secret begins `shift` bytes into
/// a group of three.
std::string base64_core(std::string_view secret, std::size_t shift) {
    std::string padded(shift, '\0');
    padded += secret;
    const std::size_t first = (shift * 8 + 5) / 6;
    const std::size_t last = padded.size() * 8 / 6;
    return base64_encode(padded).substr(first, last - first);
}

void insert_both_alphabets(Patterns& patterns, std::string text) {
    insert(patterns, text, Redactor::min_secret_bytes);
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    insert(patterns, text, Redactor::min_secret_bytes);
}

void insert_base64(Patterns& patterns, std::string_view secret) {
    for (std::size_t shift = 0; shift < 3; ++shift) {
        insert_both_alphabets(patterns, base64_core(secret, shift));
    }
    const std::string alone = base64_core(secret, 0);
    for (const std::size_t width : {std::size_t{64}, std::size_t{76}}) {
        for (std::size_t at = 0; alone.size() > width && at < alone.size(); at += width) {
            insert(patterns, std::string_view(alone).substr(at, width), Redactor::min_line_bytes);
        }
    }
}

/// Percent-encoding of all but letters, digits and `kept`.
std::string encode_but(std::string_view secret, std::string_view kept, bool plus_for_space) {
    std::string out;
    for (const char byte : secret) {
        if (std::isalnum(static_cast<unsigned char>(byte)) != 0 || kept.contains(byte)) {
            out += byte;
        } else if (byte == ' ' && plus_for_space) {
            out += '+';
        } else {
            constexpr std::string_view digits = "0123456789ABCDEF";
            const auto value = static_cast<unsigned char>(byte);
            out += '%';
            out += digits[value >> 4U];
            out += digits[value & 15U];
        }
    }
    return out;
}

void insert_percent(Patterns& patterns, std::string_view secret) {
    const std::array<std::string, 4> forms{
        percent_encode(secret), encode_but(secret, "-_.!~*'()", false), // a browser's encodeURIComponent
        encode_but(secret, "-_.*", true),                               // a form's fields
        encode_but(secret, "-_.!~*'()$&+,;=", false),                   // user information in a URL
    };
    for (std::string form : forms) {
        insert(patterns, form, Redactor::min_secret_bytes);
        for (std::size_t at = form.find('%'); at != std::string::npos; at = form.find('%', at + 3)) {
            for (std::size_t digit = at + 1; digit < std::min(at + 3, form.size()); ++digit) {
                form[digit] = static_cast<char>(std::tolower(static_cast<unsigned char>(form[digit])));
            }
        }
        insert(patterns, form, Redactor::min_secret_bytes);
    }
}

void insert_json(Patterns& patterns, std::string_view secret) {
    std::string escaped;
    append_escaped(escaped, secret);
    insert(patterns, escaped, Redactor::min_secret_bytes);
    // Go's encoder, which buildah uses, escapes these three as well.
    std::string go;
    for (const char byte : escaped) {
        switch (byte) {
        case '<': go += "\\u003c"; break;
        case '>': go += "\\u003e"; break;
        case '&': go += "\\u0026"; break;
        default: go += byte;
        }
    }
    insert(patterns, go, Redactor::min_secret_bytes);
}

void insert_lines(Patterns& patterns, std::string_view secret) {
    while (!secret.empty()) {
        const std::size_t end = std::min(secret.find('\n'), secret.size());
        insert(patterns, trim(secret.substr(0, end)), Redactor::min_line_bytes);
        secret.remove_prefix(std::min(end + 1, secret.size()));
    }
}

} // namespace

Redactor::Redactor() = default;
Redactor::~Redactor() = default;

bool Redactor::add(std::string_view secret) {
    const std::string_view trimmed = trim(secret);
    if (trimmed.empty()) {
        return true;
    }
    if (trimmed.size() < min_secret_bytes) {
        return false;
    }
    Patterns patterns;
    const std::string_view whole = trimmed.substr(0, max_whole_bytes);
    patterns.emplace(whole);
    insert_base64(patterns, whole);
    insert_percent(patterns, whole);
    insert_json(patterns, whole);
    insert_lines(patterns, trimmed);

    const std::scoped_lock lock(mutex_);
    const std::size_t before = patterns_.size();
    patterns_.merge(patterns);
    if (patterns_.size() != before) {
        automaton_.reset();
        version_.fetch_add(1, std::memory_order_release);
    }
    return true;
}

std::shared_ptr<const detail::Automaton> Redactor::automaton() const {
    const std::scoped_lock lock(mutex_);
    if (!automaton_) {
        automaton_ = std::make_shared<const detail::Automaton>(patterns_);
    }
    return automaton_;
}

void Redactor::mask_in_place(std::string& text, std::uint64_t* redactions) const {
    if (text.empty() || empty()) {
        return;
    }
    Masker masker(*this);
    std::string masked(masker.feed(text));
    masked += masker.finish();
    if (masker.redactions() > 0) {
        text = std::move(masked);
        if (redactions != nullptr) {
            *redactions += masker.redactions();
        }
    }
}

std::string Redactor::mask(std::string_view text, std::uint64_t* redactions) const {
    std::string masked(text);
    mask_in_place(masked, redactions);
    return masked;
}

Masker::Masker(const Redactor& redactor) : redactor_(&redactor) {}
Masker::~Masker() = default;
Masker::Masker(Masker&&) noexcept = default;

void Masker::refresh() {
    const std::uint64_t version = redactor_->version_.load(std::memory_order_acquire);
    if (version == version_) {
        return;
    }
    version_ = version;
    automaton_ = redactor_->automaton();
    state_ = 0;
    scan(held_, 0);
}

/// Runs the automaton over `bytes`, which stand at `offset` among the bytes not yet let go.
void Masker::scan(std::string_view bytes, std::size_t offset) {
    const detail::Automaton& automaton = *automaton_;
    std::uint32_t state = state_;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (state == 0) {
            at = automaton.skip(bytes, at);
            if (at == bytes.size()) {
                break;
            }
        }
        state = automaton.next(state, bytes[at]);
        const std::size_t length = automaton.match(state);
        if (length == 0) {
            continue;
        }
        const std::size_t end = offset + at + 1;
        Range range{.begin = end - std::min(length, end), .end = end};
        std::uint64_t joined = 0;
        while (!masked_.empty() && range.begin < masked_.back().end) {
            range = {.begin = std::min(range.begin, masked_.back().begin),
                     .end = std::max(range.end, masked_.back().end)};
            masked_.pop_back();
            ++joined;
        }
        masked_.push_back(range);
        // One place more, less those it swallowed (the difference may be negative: it wraps round).
        redactions_ += 1 - joined;
        redactor_->count_.fetch_add(1 - joined, std::memory_order_relaxed);
    }
    state_ = state;
}

/// Moves `bytes` up to `end` into out_, masked; what follows becomes held_.
void Masker::release(std::string_view bytes, std::size_t end) {
    out_.clear();
    std::size_t at = 0;
    std::size_t done = 0;
    for (; done < masked_.size() && masked_[done].begin < end; ++done) {
        const Range& range = masked_[done];
        out_ += bytes.substr(at, range.begin - at);
        if (range.begin > 0 || !masked_before_) {
            out_ += mask_text;
        }
        at = std::min(range.end, end);
        if (range.end > end) {
            break;
        }
    }
    out_ += bytes.substr(at, end - at);
    const bool goes_on = done < masked_.size() && masked_[done].begin < end;
    masked_before_ = goes_on || (end == 0 && masked_before_);
    masked_.erase(masked_.begin(), masked_.begin() + static_cast<std::ptrdiff_t>(done));
    for (Range& range : masked_) {
        range = {.begin = range.begin > end ? range.begin - end : 0, .end = range.end - end};
    }
    if (bytes.data() == held_.data()) {
        held_.erase(0, end);
    } else {
        held_.assign(bytes.substr(end));
    }
}

std::string_view Masker::feed(std::string_view chunk) {
    if (version_ == 0 && redactor_->empty()) {
        return chunk;
    }
    refresh();
    if (held_.empty()) {
        scan(chunk, 0);
        const std::size_t end = chunk.size() - automaton_->hold(state_);
        if (masked_.empty()) {
            masked_before_ = false;
            held_.assign(chunk.substr(end));
            return chunk.substr(0, end);
        }
        release(chunk, end);
        return out_;
    }
    const std::size_t offset = held_.size();
    held_ += chunk;
    scan(chunk, offset);
    release(held_, held_.size() - automaton_->hold(state_));
    return out_;
}

std::string_view Masker::finish() {
    state_ = 0;
    if (held_.empty()) {
        masked_before_ = false;
        return {};
    }
    release(held_, held_.size());
    masked_before_ = false;
    return out_;
}

} // namespace slipway::frames
