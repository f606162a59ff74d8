#include "frames/encode.hpp"

#include "base/clock.hpp"
#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>

namespace slipway::frames {

namespace {

/// More elements of an array than this are left out (and counted in `truncated`).
constexpr std::size_t max_elements = 64;
constexpr std::size_t max_step_bytes = 32;
/// Longest colour sequence a cut steps back over.
constexpr std::size_t max_colour = 40;

enum : unsigned char { plain, escaped, high };

/// What each byte needs inside a JSON string.
constexpr std::array<unsigned char, 256> byte_class = [] {
    std::array<unsigned char, 256> table{};
    for (std::size_t byte = 0; byte < 0x20; ++byte) {
        table[byte] = escaped;
    }
    table['"'] = escaped;
    table['\\'] = escaped;
    table[0x7f] = escaped;
    for (std::size_t byte = 0x80; byte < 256; ++byte) {
        table[byte] = high;
    }
    return table;
}();

constexpr unsigned char class_of(char byte) noexcept {
    return byte_class[static_cast<unsigned char>(byte)];
}

/// The escape of one byte of class `escaped`, without allocation.
struct Escape {
    std::array<char, 6> text{};
    std::size_t size = 0;
};

Escape escape_of(char byte) noexcept {
    const auto two = [](char letter) { return Escape{{'\\', letter}, 2}; };
    switch (byte) {
    case '"': return two('"');
    case '\\': return two('\\');
    case '\n': return two('n');
    case '\r': return two('r');
    case '\t': return two('t');
    case '\b': return two('b');
    case '\f': return two('f');
    default: break;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    const auto value = static_cast<unsigned char>(byte);
    return Escape{{'\\', 'u', '0', '0', digits[value >> 4U], digits[value & 15U]}, 6};
}

void append_number(std::string& out, std::integral auto number) {
    std::array<char, 24> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(digits.data(), end);
}

/// Writes one JSON object; strings are cut at `cap` encoded bytes each and what is cut is counted.
class Writer {
  public:
    Writer(std::string& out, std::size_t cap) : out_(out), cap_(cap) {}

    void open() {
        out_ += '{';
        first_ = true;
    }
    void close() {
        out_ += '}';
        first_ = false;
    }
    void object(std::string_view name) {
        key(name);
        open();
    }
    void text(std::string_view name, std::string_view value) {
        key(name);
        out_ += '"';
        left_out_ += value.size() - append_escaped(out_, value, cap_);
        out_ += '"';
    }
    void text_if(std::string_view name, std::string_view value) {
        if (!value.empty()) {
            text(name, value);
        }
    }
    /// A word of ours: needs no escaping and is never cut.
    void word(std::string_view name, std::string_view value) {
        key(name);
        out_ += '"';
        out_ += value;
        out_ += '"';
    }
    void number(std::string_view name, std::integral auto value) {
        key(name);
        append_number(out_, value);
    }
    template <class T> void number(std::string_view name, const std::optional<T>& value) {
        if (value) {
            number(name, *value);
        }
    }
    void duration(std::string_view name, const std::optional<std::chrono::milliseconds>& value) {
        if (value) {
            number(name, value->count());
        }
    }
    void flag(std::string_view name) {
        key(name);
        out_ += "true";
    }
    void base_images(const std::vector<BaseImage>& images) {
        key("base_images");
        out_ += '[';
        for (std::size_t index = 0; index < images.size(); ++index) {
            const BaseImage& image = images[index];
            if (index >= max_elements) {
                left_out_ += image.name.size() + image.digest.size();
                continue;
            }
            if (index > 0) {
                out_ += ',';
            }
            open();
            text("name", image.name);
            text_if("digest", image.digest);
            close();
        }
        out_ += ']';
    }
    void texts_if(std::string_view name, const std::vector<std::string>& values) {
        if (values.empty()) {
            return;
        }
        key(name);
        out_ += '[';
        for (std::size_t index = 0; index < values.size(); ++index) {
            if (index >= max_elements) {
                left_out_ += values[index].size();
                continue;
            }
            out_ += index > 0 ? ",\"" : "\"";
            left_out_ += values[index].size() - append_escaped(out_, values[index], cap_);
            out_ += '"';
        }
        out_ += ']';
    }
    /// Ends the payload.
    void finish() {
        if (left_out_ > 0) {
            number("truncated", left_out_);
        }
        close();
    }

  private:
    void key(std::string_view name) {
        if (!first_) {
            out_ += ',';
        }
        first_ = false;
        out_ += '"';
        out_ += name;
        out_ += "\":";
    }

    std::string& out_;
    std::size_t cap_;
    std::uint64_t left_out_ = 0;
    bool first_ = true;
};

/// Members of each kind. A kind without an overload does not compile.
struct Members {
    Writer& json;

    void where(const std::optional<Where>& place) const {
        if (!place) {
            return;
        }
        json.object("where");
        json.text("file", place->file);
        if (place->line > 0) {
            json.number("line", place->line);
        }
        if (place->column > 0) {
            json.number("column", place->column);
        }
        json.text_if("quote", place->quote);
        json.close();
    }

    void operator()(const Hello& hello) const {
        json.number("protocol", hello.protocol);
        json.text("version", hello.version);
        json.text("build_id", hello.build_id);
        json.number("attempt", hello.attempt);
        json.text("does", hello.does);
        if (hello.recipe) {
            json.object("recipe");
            json.text("name", hello.recipe->name);
            json.text_if("isolation", hello.recipe->isolation);
            json.text_if("reason", hello.recipe->reason);
            json.close();
        }
        if (hello.storage) {
            json.object("storage");
            json.text("driver", hello.storage->driver);
            json.text_if("path", hello.storage->path);
            json.close();
        }
        json.object("limits");
        json.duration("timeout_ms", hello.limits.timeout);
        json.duration("grace_ms", hello.limits.grace);
        json.duration("heartbeat_ms", hello.limits.heartbeat);
        json.number("log_budget", hello.limits.log_budget);
        json.number("memory", hello.limits.memory);
        json.number("storage", hello.limits.storage);
        json.number("processes", hello.limits.processes);
        json.close();
    }
    void operator()(const Phase& phase) const {
        json.word("name", to_string(phase.name));
        if (phase.pull) {
            json.text_if("registry", phase.pull->registry);
            json.text_if("image", phase.pull->image);
            json.text_if("tag", phase.pull->tag);
            json.text_if("digest", phase.pull->digest);
            json.text_if("username", phase.pull->username);
        }
    }
    void operator()(const Command& command) const {
        json.number("n", command.n);
        json.number("of", command.of);
        json.text_if("stage", command.stage);
        json.number("line", command.line);
        json.text("text", command.text);
        json.word("state", to_string(command.state));
        json.duration("duration_ms", command.duration);
        json.word("trust", to_string(command.trust));
    }
    void operator()(const Log& log) const {
        json.word("stream", to_string(log.stream));
        json.number("n", log.n);
        if (log.dropped > 0) {
            json.number("dropped", log.dropped);
        }
        if (log.tail) {
            json.flag("tail");
        }
        json.text("text", log.text);
        if (log.more) {
            json.flag("more");
        }
    }
    void operator()(const Progress& progress) const {
        json.text("what", progress.what);
        json.text_if("id", progress.id);
        json.number("current", progress.current);
        json.number("total", progress.total);
        json.word("unit", to_string(progress.unit));
    }
    void operator()(const Heartbeat& beat) const {
        json.duration("elapsed_ms", beat.elapsed.value_or(std::chrono::milliseconds(0)));
        json.number("memory", beat.memory);
        json.number("memory_limit", beat.memory_limit);
        json.number("storage_free", beat.storage_free);
        json.number("inodes_free", beat.inodes_free);
    }
    void operator()(const Warning& warning) const {
        json.text("code", warning.code);
        json.text("message", warning.message);
        json.text_if("hint", warning.hint);
        json.text_if("rule", warning.rule);
        where(warning.where);
    }
    void operator()(const Image& image) const {
        json.text("id", image.id);
        json.text("digest", image.digest);
        json.text_if("config_digest", image.config_digest);
        json.text_if("media_type", image.media_type);
        json.text_if("platform", image.platform);
        json.number("size", image.size);
        json.number("layers", image.layers);
        json.base_images(image.base_images);
    }
    void operator()(const Layer& layer) const {
        json.text("digest", layer.digest);
        json.number("size", layer.size);
        json.text("media_type", layer.media_type);
        json.word("from", to_string(layer.from));
    }
    void operator()(const ResultFrame& result) const {
        json.text("name", result.name);
        json.text("value", result.value);
    }
    void operator()(const Timing& timing) const {
        json.text("what", timing.what);
        json.word("start", format_utc(timing.start));
        json.duration("duration_ms", timing.duration);
        json.duration("cpu_ms", timing.cpu);
        json.number("peak_memory", timing.peak_memory);
        json.number("bytes", timing.bytes);
    }
    void operator()(const ErrorFrame& error) const {
        json.text("code", error.code);
        json.word("class", to_string(error.klass));
        json.text("message", error.message);
        json.text_if("cause", error.cause);
        json.text_if("hint", error.hint);
        where(error.where);
        json.number("exit", error.exit);
        json.number("child_exit", error.child_exit);
        json.texts_if("output", error.output);
        json.duration("duration_ms", error.duration);
        json.number("peak_memory", error.peak_memory);
    }
    void operator()(const Reproduce& reproduce) const {
        json.text("command", reproduce.command);
        if (reproduce.more) {
            json.flag("more");
        }
    }
    void operator()(const End& end) const {
        json.word("status", to_string(end.status));
        json.number("exit", end.exit);
        json.object("totals");
        json.number("frames", end.frames);
        json.number("dropped", end.dropped);
        json.number("redactions", end.redactions);
        json.close();
        json.text_if("archive", end.archive);
    }
};

void append_envelope(std::string& out, std::uint64_t seq, std::string_view time, std::string_view step,
                     std::string_view kind) {
    out += R"({"slipway":1,"seq":)";
    append_number(out, seq);
    out += R"(,"t":")";
    out += time;
    out += R"(","step":")";
    append_escaped(out, step, max_step_bytes);
    out += R"(","kind":")";
    out += kind;
    out += R"(",")";
    out += kind;
    out += R"(":)";
}

void encode_capped(std::string& out, std::size_t begin, std::size_t cap, const Payload& payload) {
    out.resize(begin);
    Writer json(out, cap);
    json.open();
    std::visit(Members{json}, payload);
    json.finish();
    out += "}\n";
}

/// Where to cut `text` so that byte `cut` does not fall into a colour sequence.
std::size_t before_colour(std::string_view text, std::size_t cut) {
    const std::size_t from = cut > max_colour ? cut - max_colour : 0;
    const std::string_view end = text.substr(from, cut - from);
    const std::size_t escape = end.rfind('\x1b');
    if (escape == std::string_view::npos || end.find('m', escape) != std::string_view::npos ||
        from + escape == 0) {
        return cut;
    }
    return from + escape;
}

} // namespace

std::string_view TimeText::format(std::chrono::system_clock::time_point time) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
    const auto second = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
    if (second != second_ || text_.size() != 24) {
        text_ = format_utc(time);
        second_ = second;
        return text_;
    }
    const auto fraction = ms - second * 1000;
    text_[20] = static_cast<char>('0' + fraction / 100);
    text_[21] = static_cast<char>('0' + fraction / 10 % 10);
    text_[22] = static_cast<char>('0' + fraction % 10);
    return text_;
}

std::size_t append_escaped(std::string& out, std::string_view text, std::size_t limit) {
    std::size_t room = limit;
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t end = at;
        const std::size_t last = at + std::min(room, text.size() - at);
        while (end < last && class_of(text[end]) == plain) {
            ++end;
        }
        out.append(text.data() + at, end - at);
        room -= end - at;
        at = end;
        if (at == text.size() || room == 0) {
            break;
        }
        if (class_of(text[at]) == escaped) {
            const Escape escape = escape_of(text[at]);
            if (escape.size > room) {
                break;
            }
            out.append(escape.text.data(), escape.size);
            room -= escape.size;
            ++at;
            continue;
        }
        const Utf8Step step = utf8_step(text.substr(at));
        const std::string_view bytes = step.valid ? text.substr(at, step.length) : "\xef\xbf\xbd";
        if (bytes.size() > room) {
            break;
        }
        out += bytes;
        room -= bytes.size();
        at += step.length;
    }
    return at;
}

void encode_into(std::string& out, std::uint64_t seq, std::string_view time, std::string_view step,
                 const Payload& payload) {
    out.clear();
    append_envelope(out, seq, time, step, kind_of(payload));
    const std::size_t begin = out.size();
    encode_capped(out, begin, max_frame_bytes, payload);
    if (out.size() <= max_frame_bytes) {
        return;
    }
    // The longest strings give way first: the largest cap under which the whole line fits.
    std::size_t fits = 0;
    std::size_t too_long = max_frame_bytes;
    while (too_long - fits > 1) {
        const std::size_t cap = fits + (too_long - fits) / 2;
        encode_capped(out, begin, cap, payload);
        (out.size() <= max_frame_bytes ? fits : too_long) = cap;
    }
    encode_capped(out, begin, fits, payload);
}

std::string encode(std::uint64_t seq, std::chrono::system_clock::time_point time, std::string_view step,
                   const Payload& payload) {
    std::string out;
    encode_into(out, seq, format_utc(time), step, payload);
    return out;
}

std::size_t encode_log(std::string& out, std::uint64_t seq, std::string_view time, std::string_view step,
                       const LogView& log) {
    out.clear();
    append_envelope(out, seq, time, step, "log");
    out += log.stream == Lane::err ? R"({"stream":"err")" : R"({"stream":"out")";
    if (log.n) {
        out += R"(,"n":)";
        append_number(out, *log.n);
    }
    if (log.dropped > 0) {
        out += R"(,"dropped":)";
        append_number(out, log.dropped);
    }
    if (log.tail) {
        out += R"(,"tail":true)";
    }
    out += R"(,"text":")";
    constexpr std::string_view closing_more = "\",\"more\":true}}\n";
    const std::size_t begin = out.size();
    const std::size_t room = max_frame_bytes - begin - closing_more.size();
    std::size_t used = append_escaped(out, log.text, room);
    if (used < log.text.size()) {
        const std::size_t cut = before_colour(log.text, used);
        if (cut != used) {
            out.resize(begin);
            used = append_escaped(out, log.text.substr(0, cut), room);
        }
    }
    out += used < log.text.size() || log.more ? closing_more : std::string_view("\"}}\n");
    return used;
}

} // namespace slipway::frames
