#include "archive/gunzip.hpp"

#include "archive/name.hpp"

#include <array>
#include <zlib.h>

namespace slipway::archive {

namespace {

constexpr std::size_t buffer_size = std::size_t{128} << 10U;
constexpr int gzip_only = 15 + 16; // the largest window, gzip's wrapping

Error damaged(const char* words) {
    Error error = bad_archive("the archive is damaged", "pack or upload it again");
    error.cause = std::string("gzip: ") + (words == nullptr ? "invalid data" : words);
    return error;
}

} // namespace

struct Gunzip::State {
    z_stream stream{};
    bool ready = false;
    bool between = false; ///< a member has ended; another may follow
    bool over = false;
    std::array<char, buffer_size> in{};
    std::array<char, buffer_size> out{};

    Status refill(const ReadMore& more) {
        TRY_ASSIGN(const std::size_t n, more(in));
        stream.next_in = reinterpret_cast<Bytef*>(in.data());
        stream.avail_in = static_cast<uInt>(n);
        return {};
    }
};

Gunzip::Gunzip() : state_(std::make_unique<State>()) {
    state_->ready = ::inflateInit2(&state_->stream, gzip_only) == Z_OK;
}

Gunzip::~Gunzip() {
    if (state_->ready) {
        ::inflateEnd(&state_->stream);
    }
}

Result<std::string_view> Gunzip::next(const ReadMore& more) {
    State& me = *state_;
    if (!me.ready) {
        return fail(ErrorClass::resource, code::out_of_memory, "no memory left to read the archive");
    }
    while (!me.over) {
        if (me.stream.avail_in == 0) {
            TRY(me.refill(more));
            if (me.stream.avail_in == 0) {
                if (!me.between) {
                    Error error = damaged("unexpected end");
                    error.message = "the archive is cut short";
                    return fail(std::move(error));
                }
                break;
            }
        }
        if (me.between) {
            constexpr Bytef first_byte = 0x1f;
            if (*me.stream.next_in != first_byte) {
                break;
            }
            ::inflateReset(&me.stream);
            me.between = false;
        }
        me.stream.next_out = reinterpret_cast<Bytef*>(me.out.data());
        me.stream.avail_out = static_cast<uInt>(me.out.size());
        const int rc = ::inflate(&me.stream, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END) {
            return fail(rc == Z_MEM_ERROR ? make_error(ErrorClass::resource, code::out_of_memory,
                                                       "no memory left to read the archive")
                                          : damaged(me.stream.msg));
        }
        me.between = rc == Z_STREAM_END;
        if (const std::size_t size = me.out.size() - me.stream.avail_out; size > 0) {
            return std::string_view(me.out.data(), size);
        }
    }
    me.over = true;
    return std::string_view();
}

} // namespace slipway::archive
