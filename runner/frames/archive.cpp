#include "frames/archive.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <format>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>
#include <zstd.h>

namespace slipway::frames {

namespace {

constexpr int level = 3;
/// After so much input what was compressed is put on disk, so that a killed pod leaves a readable file.
constexpr std::size_t flush_every = std::size_t{1} << 20U;
constexpr std::size_t max_part = 100;

std::string safe_part(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, max_part)) {
        const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '_' || (c == '.' && !out.empty());
        out += safe ? c : '_';
    }
    return out.empty() ? "_" : out;
}

Error cannot_write(const std::string& what, int err) {
    Error error = errno_error(what, err);
    error.message = std::format("the whole log cannot be kept: {}", error.cause);
    return error;
}

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};

} // namespace

std::string archive_name(std::string_view build_id, int attempt, std::string_view step) {
    return std::format("{}-{}-{}.frames.zst", safe_part(build_id), attempt, safe_part(step));
}

struct Archive::Impl {
    Fd fd;
    std::filesystem::path path;
    std::unique_ptr<ZSTD_CCtx, FreeContext> context;
    std::vector<char> buffer;
    std::size_t since_flush = 0;
    bool closed = false;
    std::optional<Error> error;

    void compress(std::string_view bytes, ZSTD_EndDirective directive);
};

void Archive::Impl::compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
    bool done = false;
    while (!done && !error) {
        ZSTD_outBuffer out{.dst = buffer.data(), .size = buffer.size(), .pos = 0};
        const std::size_t left = ZSTD_compressStream2(context.get(), &out, &in, directive);
        if (ZSTD_isError(left) != 0) {
            error =
                make_error(ErrorClass::internal, code::internal_error,
                           std::format("the whole log cannot be kept: zstd: {}", ZSTD_getErrorName(left)));
            return;
        }
        if (out.pos > 0) {
            if (Status written = write_all(fd.get(), {buffer.data(), out.pos}); !written) {
                error = std::move(written).error();
                error->message = std::format("the whole log cannot be kept: {}", error->cause);
                return;
            }
        }
        done = directive == ZSTD_e_continue ? in.pos == in.size : left == 0;
    }
}

Archive::Archive(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive& Archive::operator=(Archive&&) noexcept = default;

Archive::~Archive() {
    if (impl_) {
        static_cast<void>(close());
    }
}

Result<Archive> Archive::create(const std::filesystem::path& directory, std::string_view build_id,
                                int attempt, std::string_view step) {
    auto impl = std::make_unique<Impl>();
    const std::string name = archive_name(build_id, attempt, step);
    impl->path = directory / name;
    const Fd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) {
        return fail(cannot_write(directory.native(), errno));
    }
    ::unlinkat(folder.get(), name.c_str(), 0);
    impl->fd =
        Fd(::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640));
    if (!impl->fd) {
        return fail(cannot_write(impl->path.native(), errno));
    }
    impl->context.reset(ZSTD_createCCtx());
    if (!impl->context) {
        return fail(cannot_write("zstd", ENOMEM));
    }
    ZSTD_CCtx_setParameter(impl->context.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(impl->context.get(), ZSTD_c_checksumFlag, 1);
    impl->buffer.resize(ZSTD_CStreamOutSize());
    return Archive(std::move(impl));
}

void Archive::write(std::string_view line) {
    if (impl_->error || impl_->closed) {
        return;
    }
    impl_->since_flush += line.size();
    const bool flush = impl_->since_flush >= flush_every;
    impl_->compress(line, flush ? ZSTD_e_flush : ZSTD_e_continue);
    if (flush) {
        impl_->since_flush = 0;
    }
}

Status Archive::close() {
    if (!impl_->closed) {
        impl_->closed = true;
        if (!impl_->error) {
            impl_->compress({}, ZSTD_e_end);
        }
        // Network file systems report a full disk only here.
        if (const int fd = impl_->fd.release(); ::close(fd) != 0 && errno != EINTR && !impl_->error) {
            impl_->error = cannot_write(impl_->path.native(), errno);
        }
    }
    return impl_->error ? Status(fail(*impl_->error)) : Status{};
}

const std::filesystem::path& Archive::path() const noexcept {
    return impl_->path;
}

bool Archive::failed() const noexcept {
    return impl_->error.has_value();
}

} // namespace slipway::frames
