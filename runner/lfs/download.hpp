// One object on its way: bytes into a file, hashed and counted as they come, taken up again where a cut left
// them.
//
// Errors: status_error's; network/gitfailure, transient, for what broke off or is not what the pointer says
// (then it begins anew); resource/outofdisk.
#pragma once

#include "base/fd.hpp"
#include "digest/sha256.hpp"
#include "http/client.hpp"
#include "lfs/batch.hpp"
#include "lfs/server.hpp"

#include <filesystem>
#include <functional>

namespace slipway::lfs {

/// Called with what has been added to the file; negative when it begins anew.
using OnBytes = std::function<void(std::int64_t added)>;

class Download {
  public:
    /// Writes to `file`, which is created (and must not exist).
    static Result<Download> create(const std::filesystem::path& file, Object object, OnBytes on_bytes);

    /// Goes on from where it stands to the end, and checks. `extra` are headers besides the action's.
    Status run(http::Client& client, Server& server, const Action& action, const http::Headers& extra,
               const StopToken& stop);

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    Download(std::filesystem::path path, Fd file, Object object, OnBytes on_bytes)
        : path_(std::move(path)), file_(std::move(file)), object_(std::move(object)),
          on_bytes_(std::move(on_bytes)) {}

    Status begin_anew();
    Status take(std::string_view piece);
    Result<int> transfer(http::Client& client, const http::Url& url, const http::Headers& headers,
                         const StopToken& stop, std::string& words,
                         std::optional<std::chrono::seconds>& wait);
    Status check();

    std::filesystem::path path_;
    Fd file_;
    Object object_;
    OnBytes on_bytes_;
    digest::Hasher hasher_;
    std::uint64_t size_ = 0; ///< bytes in the file, all of them hashed
};

} // namespace slipway::lfs
