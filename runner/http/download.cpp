#include "http/download.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <format>
#include <optional>
#include <sys/types.h>
#include <unistd.h>

namespace slipway::http {

namespace {

struct ContentRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::optional<std::uint64_t> total;
};

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                  : std::nullopt;
}

/// "bytes 100-199/1000", the total possibly "*".
std::optional<ContentRange> parse_content_range(std::string_view text) {
    constexpr std::string_view unit = "bytes ";
    const auto dash = text.find('-');
    const auto slash = text.find('/');
    if (!text.starts_with(unit) || dash == std::string_view::npos || slash == std::string_view::npos ||
        dash > slash) {
        return std::nullopt;
    }
    const auto first = number(text.substr(unit.size(), dash - unit.size()));
    const auto last = number(text.substr(dash + 1, slash - dash - 1));
    const auto total = number(text.substr(slash + 1));
    if (!first || !last || *last < *first || (total && *total <= *last) ||
        (!total && text.substr(slash + 1) != "*")) {
        return std::nullopt;
    }
    return ContentRange{.first = *first, .last = *last, .total = total};
}

std::string_view header(const Headers& headers, std::string_view name) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    const auto found = std::ranges::find_if(
        headers, [&](const auto& one) { return std::ranges::equal(one.first, name, {}, lower, lower); });
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

/// What If-Range may name: an entity tag that is not weak, else the date (to the second: good enough to go on
/// by, because the length is held against as well).
std::string validator_of(const Headers& headers) {
    const std::string_view tag = header(headers, "ETag");
    if (tag.starts_with('"')) {
        return std::string(tag);
    }
    return tag.empty() ? std::string(header(headers, "Last-Modified")) : std::string();
}

/// Object stores say why in an XML document's <Message>.
std::string reason_in(std::string_view body) {
    constexpr std::string_view open = "<Message>";
    constexpr std::size_t longest = 200;
    const auto begin = body.find(open);
    if (begin == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = body.substr(begin + open.size());
    std::string text = to_valid_utf8(rest.substr(0, std::min(rest.find('<'), longest)));
    std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return text;
}

Error refused(const Response& response, bool is_signed) {
    const int status = response.status;
    const std::string host = response.url.authority();
    const std::string_view expired =
        "a signed URL is good for a few minutes only; this one may have expired: ask for a "
        "new one, and start the build sooner";
    Error error;
    if (is_transient_status(status)) {
        error = make_error(ErrorClass::network, code::build_pack_issue,
                           std::format("{} could not send the archive for now (HTTP {})", host, status));
        error.transient = true;
        error.retry_after = response.retry_after();
    } else if (status == 401 || status == 403) {
        error = make_error(ErrorClass::auth, code::build_pack_issue,
                           std::format("{} refuses to send the archive (HTTP {})", host, status),
                           std::string(is_signed ? expired : "check the URL's user name and password"));
    } else if (status == 404 || status == 410) {
        error = make_error(ErrorClass::build, code::build_pack_issue,
                           std::format("{} has no archive at this URL (HTTP {})", host, status),
                           std::string(is_signed ? expired : "check the URL"));
    } else if (status >= 400 && status < 500) {
        error =
            make_error(ErrorClass::build, code::build_pack_issue,
                       std::format("{} does not accept the request for the archive (HTTP {})", host, status),
                       std::string(is_signed ? expired : "check the URL"));
    } else {
        error =
            make_error(ErrorClass::network, code::build_pack_issue,
                       std::format("{} did not send the archive (HTTP {})", host, status), "check the URL");
    }
    const std::string reason = reason_in(response.body);
    error.cause = std::format("HTTP {}{}{}", status, reason.empty() ? "" : ": ", reason);
    return error;
}

/// One file on its way: what is there already, and what is known of the whole.
class Transfer {
  public:
    Transfer(Client& client, const Download& what, int fd, const StopToken& stop)
        : client_(client), what_(what), fd_(fd), stop_(stop) {}

    Result<Downloaded> once() {
        if (received_ > 0 && validator_.empty()) {
            TRY(start_over());
        }
        Request request;
        request.url = what_.url;
        request.headers = {{"Accept", "*/*"}, {"Accept-Encoding", "identity"}};
        if (!what_.url.username.empty() || !what_.url.password.empty()) {
            request.headers.emplace_back(
                "Authorization", "Basic " + base64_encode(what_.url.username + ":" + what_.url.password));
        }
        const bool resuming = received_ > 0;
        if (resuming) {
            request.headers.emplace_back("Range", std::format("bytes={}-", received_));
            request.headers.emplace_back("If-Range", validator_);
        }
        request.on_headers = [&](int status, const Headers& headers) {
            return begin(status, headers, resuming);
        };
        request.sink = [&](std::string_view piece) { return take(piece); };
        TRY_ASSIGN(const Response response, client_.send(request, stop_));
        if (response.status == 416 && resuming) {
            TRY(start_over());
            return broken("the server has no such rest of the file");
        }
        if (!response.ok()) {
            return fail(
                refused(response, what_.url.target.contains('?') || response.url.target.contains('?')));
        }
        if (total_ && received_ != *total_) {
            return broken(std::format("{} bytes came of {}", received_, *total_));
        }
        return Downloaded{.size = received_, .resumed = resumed_};
    }

  private:
    Status start_over() {
        if (::ftruncate(fd_, 0) != 0) {
            return fail_errno("empty the downloaded file", errno);
        }
        received_ = 0;
        total_.reset();
        validator_.clear();
        return {};
    }

    [[nodiscard]] std::unexpected<Error> broken(std::string cause) const {
        Error error = make_error(ErrorClass::network, code::build_pack_issue,
                                 what_.url.authority() + " did not send the whole archive");
        error.cause = std::move(cause);
        error.transient = true;
        return fail(std::move(error));
    }

    /// The head of a 2xx answer: does it go on where we stopped?
    Status begin(int status, const Headers& headers, bool resuming) {
        const auto length = number(header(headers, "Content-Length"));
        if (resuming && status == 206) {
            const auto range = parse_content_range(header(headers, "Content-Range"));
            const bool fits = range && range->first == received_ &&
                              (!total_ || !range->total || *range->total == *total_) &&
                              (!range->total || range->last + 1 == *range->total) &&
                              (!length || *length == range->last - range->first + 1);
            if (!fits) {
                TRY(start_over());
                return broken("the rest that came is not the rest that was asked for");
            }
            total_ = range->last + 1;
            ++resumed_;
        } else if (status == 200) {
            TRY(start_over());
            total_ = length;
            validator_ = validator_of(headers);
        } else {
            TRY(start_over());
            Error error = make_error(
                ErrorClass::network, code::build_pack_issue,
                std::format("{} answered HTTP {} instead of the archive", what_.url.authority(), status),
                "check the URL");
            error.cause = std::format("HTTP {}", status);
            return fail(std::move(error));
        }
        return total_ ? within(*total_) : Status();
    }

    [[nodiscard]] Status within(std::uint64_t size) const {
        if (what_.limit > 0 && size > what_.limit) {
            return fail(ErrorClass::build, code::cannot_extract_build_pack,
                        "the archive is larger than " + humane_bytes(what_.limit),
                        "raise --unpacked-limit, or pack less");
        }
        return {};
    }

    Status take(std::string_view piece) {
        TRY(within(received_ + piece.size()));
        if (total_ && received_ + piece.size() > *total_) {
            return broken("more came than was announced");
        }
        while (!piece.empty()) {
            const ssize_t n = ::pwrite(fd_, piece.data(), piece.size(), static_cast<off_t>(received_));
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n < 0) {
                return fail_errno("write the downloaded archive", errno);
            }
            piece.remove_prefix(static_cast<std::size_t>(n));
            received_ += static_cast<std::uint64_t>(n);
        }
        if (what_.on_progress) {
            what_.on_progress(received_, total_.value_or(0));
        }
        return {};
    }

    Client& client_;
    const Download& what_;
    int fd_;
    const StopToken& stop_;
    std::uint64_t received_ = 0;
    std::optional<std::uint64_t> total_;
    std::string validator_;
    int resumed_ = 0;
};

} // namespace

Result<Downloaded> download(Client& client, const Download& what, int fd, const StopToken& stop) {
    Transfer transfer(client, what, fd, stop);
    return with_retries<Downloaded>(what.retry, stop, what.on_retry, [&] { return transfer.once(); });
}

std::string text_without_query(const Url& url) {
    return url.origin() + url.target.substr(0, url.target.find('?'));
}

std::vector<std::string> secrets_in_query(std::string_view url) {
    constexpr std::size_t shortest = 8; // below that they are words: "host", "tar.gz"
    std::vector<std::string> secrets;
    const auto keep = [&](std::string text) {
        if (text.size() >= shortest) {
            secrets.push_back(std::move(text));
        }
    };
    url = url.substr(0, url.find('#'));
    const auto question = url.find('?');
    if (question != std::string_view::npos) {
        std::string_view query = url.substr(question + 1);
        keep(std::string(query));
        while (!query.empty()) {
            const auto end = std::min(query.find('&'), query.size());
            const std::string_view pair = query.substr(0, end);
            query.remove_prefix(std::min(end + 1, query.size()));
            const auto equals = pair.find('=');
            const std::string_view value = equals == std::string_view::npos ? pair : pair.substr(equals + 1);
            keep(std::string(value));
            keep(percent_decode(value));
        }
    }
    return secrets;
}

} // namespace slipway::http
