#include "frames/reader.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <limits>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <span>
#include <system_error>
#include <unistd.h>
#include <zstd.h>

namespace slipway::frames {

namespace {

constexpr std::string_view frame_beginning = R"({"slipway":)";
constexpr std::size_t deepest = 16;

std::unexpected<Error> unreadable(std::string message, std::string cause = {}) {
    Error error = make_error(ErrorClass::usage, code::missing_or_invalid_argument, std::move(message));
    error.cause = std::move(cause);
    return fail(std::move(error));
}

/// Builds a ReadValue from nlohmann's events; depth and doubled members are refused on the way, so what is
/// built stays small however the line is made.
class Builder : public nlohmann::json_sax<nlohmann::json> {
  public:
    bool null() override { return add({}); }
    bool boolean(bool value) override {
        return add({.type = ReadValue::Type::boolean, .boolean = value, .string = {}, .members = {}});
    }
    bool number_integer(number_integer_t value) override {
        return add({.type = ReadValue::Type::integer,
                    .integer = value,
                    .number = static_cast<double>(value),
                    .string = {},
                    .members = {}});
    }
    bool number_unsigned(number_unsigned_t value) override {
        constexpr auto most = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
        return add({.type = ReadValue::Type::integer,
                    .integer = static_cast<std::int64_t>(std::min(value, most)),
                    .number = static_cast<double>(value),
                    .string = {},
                    .members = {}});
    }
    bool number_float(number_float_t value, const string_t& /*text*/) override {
        return add({.type = ReadValue::Type::number, .number = value, .string = {}, .members = {}});
    }
    bool string(string_t& value) override {
        return add({.type = ReadValue::Type::string, .string = std::move(value), .members = {}});
    }
    bool binary(binary_t& /*value*/) override { return false; }
    bool start_object(std::size_t /*size*/) override { return open(ReadValue::Type::object); }
    bool key(string_t& value) override {
        const auto& members = open_.back()->members;
        if (std::ranges::any_of(members, [&](const auto& member) { return member.name == value; })) {
            problem = "a member stands twice in one object";
            return false;
        }
        key_ = std::move(value);
        return true;
    }
    bool end_object() override { return close(); }
    bool start_array(std::size_t /*size*/) override { return open(ReadValue::Type::array); }
    bool end_array() override { return close(); }
    bool parse_error(std::size_t position, const std::string& /*token*/,
                     const nlohmann::json::exception& /*error*/) override {
        problem = std::format("not valid JSON at byte {}", position);
        return false;
    }

    ReadValue root;
    std::string problem;

  private:
    // Pointers into members stay good: a parent's vector grows only when its last child is closed.
    ReadValue* put(ReadValue value) {
        if (open_.empty()) {
            root = std::move(value);
            return &root;
        }
        auto& members = open_.back()->members;
        members.push_back({.name = std::exchange(key_, {}), .value = std::move(value)});
        return &members.back().value;
    }
    bool add(ReadValue value) {
        put(std::move(value));
        return true;
    }
    bool open(ReadValue::Type type) {
        if (open_.size() >= deepest) {
            problem = std::format("nested more than {} deep", deepest);
            return false;
        }
        open_.push_back(put({.type = type, .string = {}, .members = {}}));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    std::vector<ReadValue*> open_;
    std::string key_;
};

/// `text` as exactly `digits` digits, or -1.
int digits_at(std::string_view text, std::size_t at, std::size_t digits) noexcept {
    int value = 0;
    for (const char c : text.substr(at, digits)) {
        if (c < '0' || c > '9') {
            return -1;
        }
        value = value * 10 + (c - '0');
    }
    return value;
}

} // namespace

bool is_frame_line(std::string_view line) noexcept {
    return line.starts_with(frame_beginning);
}

std::string_view to_string(ReadValue::Type type) noexcept {
    constexpr std::array<std::string_view, 7> names{"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};
    return names.at(static_cast<std::size_t>(type));
}

const ReadValue* ReadValue::find(std::string_view name) const noexcept {
    if (type != Type::object) {
        return nullptr;
    }
    for (const Member& member : members) {
        if (member.name == name) {
            return &member.value;
        }
    }
    return nullptr;
}

const ReadValue* ReadFrame::payload() const noexcept {
    return kind.empty() ? nullptr : root.find(kind);
}

const ReadValue* ReadFrame::find(std::string_view path) const noexcept {
    const ReadValue* value = payload();
    while (value != nullptr && !path.empty()) {
        const std::size_t dot = path.find('.');
        value = value->find(path.substr(0, dot));
        path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    }
    return value;
}

std::string_view ReadFrame::text(std::string_view path) const noexcept {
    const ReadValue* value = find(path);
    return value != nullptr && value->type == ReadValue::Type::string ? std::string_view(value->string)
                                                                      : std::string_view();
}

std::optional<std::int64_t> ReadFrame::integer(std::string_view path) const noexcept {
    const ReadValue* value = find(path);
    return value != nullptr && value->type == ReadValue::Type::integer ? std::optional(value->integer)
                                                                       : std::nullopt;
}

std::optional<double> ReadFrame::number(std::string_view path) const noexcept {
    const ReadValue* value = find(path);
    const bool numeric = value != nullptr &&
                         (value->type == ReadValue::Type::integer || value->type == ReadValue::Type::number);
    return numeric ? std::optional(value->number) : std::nullopt;
}

bool ReadFrame::flag(std::string_view path) const noexcept {
    const ReadValue* value = find(path);
    return value != nullptr && value->type == ReadValue::Type::boolean && value->boolean;
}

std::optional<std::uint64_t> ReadFrame::size(std::string_view path) const noexcept {
    const auto value = integer(path);
    return value && *value >= 0 ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

std::optional<std::chrono::milliseconds> ReadFrame::milliseconds(std::string_view path) const noexcept {
    constexpr std::int64_t longest = 1'000LL * 86'400'000; // far from where adding to a time overflows
    const auto value = integer(path);
    return value && *value >= 0 ? std::optional(std::chrono::milliseconds(std::min(*value, longest)))
                                : std::nullopt;
}

std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_utc(std::string_view text) noexcept {
    constexpr std::string_view shape = "dddd-dd-ddTdd:dd:dd.dddZ";
    if (text.size() != shape.size()) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] != 'd' && shape[i] != text[i]) {
            return std::nullopt;
        }
    }
    const int year = digits_at(text, 0, 4);
    const int month = digits_at(text, 5, 2);
    const int day = digits_at(text, 8, 2);
    const int hour = digits_at(text, 11, 2);
    const int minute = digits_at(text, 14, 2);
    const int second = digits_at(text, 17, 2);
    const int millisecond = digits_at(text, 20, 3);
    if (year < 0 || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 59 || millisecond < 0) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) {
        return std::nullopt;
    }
    return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second) + std::chrono::milliseconds(millisecond);
}

Result<ReadFrame> parse_frame(std::string_view line) {
    while (line.ends_with('\n') || line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    Builder builder;
    if (!nlohmann::json::sax_parse(line.begin(), line.end(), &builder)) {
        return unreadable(
            std::format("not a readable frame: {}", builder.problem.empty() ? "?" : builder.problem));
    }
    ReadFrame frame;
    frame.root = std::move(builder.root);
    const ReadValue* protocol = frame.root.find("slipway");
    if (protocol == nullptr || protocol->type != ReadValue::Type::integer || protocol->integer < 1) {
        return unreadable("not a readable frame: `slipway` is no protocol number");
    }
    if (protocol->integer > readable_protocol) {
        return fail(ErrorClass::usage, newer_protocol,
                    std::format("this stream speaks frame protocol {}, this slipway reads up to {}",
                                protocol->integer, readable_protocol),
                    "use a slipway at least as new as the one that wrote it");
    }
    frame.protocol = static_cast<int>(protocol->integer);
    const auto string_of = [&](std::string_view name) {
        const ReadValue* value = frame.root.find(name);
        return value != nullptr ? value->string : std::string();
    };
    if (const ReadValue* seq = frame.root.find("seq"); seq != nullptr && seq->integer > 0) {
        frame.seq = static_cast<std::uint64_t>(seq->integer);
    }
    frame.time = parse_utc(string_of("t"));
    frame.step = string_of("step");
    frame.kind = string_of("kind");
    return frame;
}

struct StreamReader::Impl {
    enum class State : std::uint8_t { starting, plain, zstd, ended };

    Impl(Fd file, std::string stream_name) : fd(std::move(file)), name(std::move(stream_name)) {}

    /// Bytes read into `input`; 0 at the end.
    Result<std::size_t> read_some(std::size_t at) {
        while (true) {
            const ssize_t got = ::read(fd.get(), input.data() + at, input.size() - at);
            if (got >= 0) {
                return static_cast<std::size_t>(got);
            }
            if (errno == EAGAIN) {
                pollfd waiting{.fd = fd.get(), .events = POLLIN, .revents = 0};
                ::poll(&waiting, 1, -1);
            } else if (errno != EINTR) {
                return unreadable(std::format("cannot read {}", name),
                                  std::generic_category().message(errno));
            }
        }
    }

    Status start() {
        std::size_t got = 0;
        while (got < 4) {
            TRY_ASSIGN(const std::size_t more, read_some(got));
            if (more == 0) {
                break;
            }
            got += more;
        }
        const auto magic = [&](std::size_t i) { return static_cast<std::uint8_t>(input[i]); };
        const bool is_zstd =
            got >= 4 && magic(0) == 0x28 && magic(1) == 0xb5 && magic(2) == 0x2f && magic(3) == 0xfd;
        const bool is_skippable = got >= 4 && (magic(0) & 0xf0U) == 0x50 && magic(1) == 0x2a &&
                                  magic(2) == 0x4d && magic(3) == 0x18;
        if (!is_zstd && !is_skippable) {
            state = State::plain;
            chunk = std::string_view(input.data(), got);
            return {};
        }
        state = State::zstd;
        decoder.reset(ZSTD_createDCtx());
        if (!decoder) {
            return unreadable(std::format("cannot read {}", name), "no memory for zstd");
        }
        output.resize(ZSTD_DStreamOutSize());
        compressed = {.src = input.data(), .size = got, .pos = 0};
        return {};
    }

    /// The next bytes of the stream into `chunk`; false at the end.
    Result<bool> refill() {
        if (state == State::starting) {
            TRY(start());
            if (state == State::plain) {
                return !chunk.empty();
            }
        }
        if (state == State::plain) {
            TRY_ASSIGN(const std::size_t got, read_some(0));
            chunk = std::string_view(input.data(), got);
            return got != 0;
        }
        while (state == State::zstd) {
            if (compressed.pos == compressed.size && !flushing) {
                TRY_ASSIGN(const std::size_t got, read_some(0));
                if (got == 0) {
                    if (in_frame) {
                        return unreadable(std::format("{} ends in the middle of its zstd data", name));
                    }
                    return false;
                }
                compressed = {.src = input.data(), .size = got, .pos = 0};
            }
            ZSTD_outBuffer out{.dst = output.data(), .size = output.size(), .pos = 0};
            const std::size_t left = ZSTD_decompressStream(decoder.get(), &out, &compressed);
            if (ZSTD_isError(left) != 0) {
                return unreadable(std::format("{} is damaged zstd data", name), ZSTD_getErrorName(left));
            }
            in_frame = left != 0;
            flushing = in_frame && out.pos == out.size;
            if (out.pos != 0) {
                chunk = std::string_view(output.data(), out.pos);
                return true;
            }
        }
        return false;
    }

    Result<std::optional<StreamLine>> next() {
        line.clear();
        std::uint64_t cut = 0;
        bool any = false;
        while (true) {
            if (chunk.empty()) {
                if (state == State::ended) {
                    break;
                }
                auto more = refill();
                const bool over = !more || !*more;
                if (!more) {
                    ending = std::move(more).error();
                }
                if (over) {
                    state = State::ended;
                    chunk = {};
                    break;
                }
            }
            const std::size_t newline = chunk.find('\n');
            const std::string_view piece = chunk.substr(0, newline);
            const std::size_t kept = std::min(piece.size(), line_limit - line.size());
            line.append(piece.substr(0, kept));
            cut += piece.size() - kept;
            any = true;
            if (newline != std::string_view::npos) {
                chunk.remove_prefix(newline + 1);
                return StreamLine{.number = ++number, .text = line, .cut = cut, .terminated = true};
            }
            chunk = {};
        }
        if (any) {
            return StreamLine{.number = ++number, .text = line, .cut = cut, .terminated = false};
        }
        if (ending) {
            return fail(*ending);
        }
        return std::nullopt;
    }

    struct FreeDecoder {
        void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
    };

    Fd fd;
    std::string name;
    State state = State::starting;
    std::vector<char> input = std::vector<char>(std::size_t{64} << 10U);
    std::vector<char> output;
    std::string_view chunk; ///< what is not yet handed out of input (plain) or output (zstd)
    std::unique_ptr<ZSTD_DCtx, FreeDecoder> decoder;
    ZSTD_inBuffer compressed{.src = nullptr, .size = 0, .pos = 0};
    bool in_frame = true;
    bool flushing = false; ///< the decoder filled the output and may hold more
    std::string line;
    std::uint64_t number = 0;
    std::optional<Error> ending;
};

StreamReader::StreamReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StreamReader::StreamReader(StreamReader&&) noexcept = default;
StreamReader& StreamReader::operator=(StreamReader&&) noexcept = default;
StreamReader::~StreamReader() = default;

Result<StreamReader> StreamReader::open(const std::filesystem::path& path) {
    const bool standard_input = path == "-";
    Fd fd(standard_input ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                         : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const std::string name = standard_input ? "standard input" : to_valid_utf8(path.native());
    if (!fd) {
        return unreadable(std::format("cannot open {}", name), std::generic_category().message(errno));
    }
    return from_fd(std::move(fd), name);
}

Result<StreamReader> StreamReader::from_fd(Fd fd, std::string name) {
    return StreamReader(std::make_unique<Impl>(std::move(fd), std::move(name)));
}

Result<std::optional<StreamLine>> StreamReader::next() {
    return impl_->next();
}

} // namespace slipway::frames
