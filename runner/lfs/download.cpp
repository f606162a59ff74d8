#include "lfs/download.hpp"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <format>
#include <unistd.h>

namespace slipway::lfs {

namespace {

constexpr int range_not_satisfiable = 416;

Error again(std::string message, std::string cause) {
    Error error = make_error(ErrorClass::network, code::git_failure, std::move(message));
    error.cause = std::move(cause);
    error.transient = true;
    return error;
}

/// Does "bytes 500-999/1000" begin at `offset`?
bool range_begins_at(std::string_view range, std::uint64_t offset) {
    constexpr std::string_view unit = "bytes ";
    if (!range.starts_with(unit)) {
        return false;
    }
    range.remove_prefix(unit.size());
    std::uint64_t start = 0;
    const auto [end, failure] = std::from_chars(range.data(), range.data() + range.size(), start);
    return failure == std::errc{} && end != range.data() + range.size() && *end == '-' && start == offset;
}

} // namespace

Result<Download> Download::create(const std::filesystem::path& file, Object object, OnBytes on_bytes) {
    Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) {
        return fail_errno("create " + file.string(), errno);
    }
    return Download(file, std::move(fd), std::move(object), std::move(on_bytes));
}

Status Download::begin_anew() {
    if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0) {
        return fail_errno("truncate " + path_.string(), errno);
    }
    on_bytes_(-static_cast<std::int64_t>(size_));
    size_ = 0;
    hasher_ = digest::Hasher();
    return {};
}

Status Download::take(std::string_view piece) {
    if (piece.size() > object_.size - size_) {
        return fail(again(std::format("more came than the {} bytes the pointer says", object_.size), {}));
    }
    TRY(write_all(file_.get(), piece));
    hasher_.update(piece);
    size_ += piece.size();
    on_bytes_(static_cast<std::int64_t>(piece.size()));
    return {};
}

Result<int> Download::transfer(http::Client& client, const http::Url& url, const http::Headers& headers,
                               const StopToken& stop, std::string& words,
                               std::optional<std::chrono::seconds>& wait) {
    http::Request request;
    request.url = url;
    request.headers = headers;
    request.headers.emplace_back("Accept-Encoding", "identity"); // the hash is of the bytes as they are
    if (size_ > 0) {
        request.headers.emplace_back("Range", std::format("bytes={}-{}", size_, object_.size - 1));
    }
    request.on_headers = [&](int status, const http::Headers& answer) -> Status {
        const http::Response head{.status = status, .headers = answer, .body = {}, .url = {}};
        if (size_ > 0 && (status != 206 || !range_begins_at(head.header("Content-Range"), size_))) {
            TRY(begin_anew());
            if (status == 206) {
                return fail(again("the server sent another part than the one asked for",
                                  std::string(head.header("Content-Range"))));
            }
        }
        return {};
    };
    request.sink = [this](std::string_view piece) { return take(piece); };
    Result<http::Response> response = client.send(request, stop);
    if (!response) {
        return fail(as_git_failure(std::move(response).error()));
    }
    words = error_message(response->body);
    wait = response->retry_after();
    return response->status;
}

Status Download::check() {
    if (size_ != object_.size) {
        return fail(again(std::format("{} of {} bytes came", size_, object_.size), "the body ended early"));
    }
    const std::string found = hasher_.finish();
    if (found != "sha256:" + object_.oid) {
        TRY(begin_anew());
        return fail(again("what came is not what the pointer says", "it has " + found));
    }
    // close(2) is where some file systems report that nothing was written after all.
    if (::close(file_.release()) != 0) {
        return fail_errno("close " + path_.string(), errno);
    }
    return {};
}

Status Download::run(http::Client& client, Server& server, const Action& action, const http::Headers& extra,
                     const StopToken& stop) {
    if (size_ > 0 && size_ == object_.size) {
        return check(); // all of it had come before the connection broke, or more than all
    }
    auto url = http::parse_url(action.href);
    if (!url) {
        return fail(ErrorClass::build, code::git_failure, "the Git LFS server names a place that is no URL",
                    "the server is misconfigured; its administrator can tell");
    }
    TRY(server.admit(*url));
    http::Headers headers = action.headers;
    headers.insert(headers.end(), extra.begin(), extra.end());
    std::string words;
    std::optional<std::chrono::seconds> wait;
    TRY_ASSIGN(int status, transfer(client, *url, headers, stop, words, wait));
    if (status == range_not_satisfiable && size_ > 0) {
        TRY(begin_anew());
        TRY_ASSIGN(status, transfer(client, *url, headers, stop, words, wait));
    }
    if (status < 200 || status > 299) {
        return fail(status_error(status, url->authority(), std::move(words), wait));
    }
    return check();
}

} // namespace slipway::lfs
