// A file descriptor that closes itself, and reading and writing that do not stop half way.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace slipway {

/// Sole owner of a descriptor; -1 = none. All descriptors of the project are close-on-exec.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset(std::exchange(other.fd_, -1));
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;
    explicit operator bool() const noexcept { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

/// Writes all of `bytes`, going on after EINTR and short writes, and waiting with poll on EAGAIN.
Status write_all(int fd, std::string_view bytes);

/// Reads to the end. More than `limit` bytes is an error of class build ("larger than …"): what is read
/// whole is never unbounded.
Result<std::string> read_all(int fd, std::size_t limit);

} // namespace slipway
