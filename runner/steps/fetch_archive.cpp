#include "steps/fetch_archive.hpp"

#include "archive/unpack.hpp"
#include "base/file.hpp"
#include "digest/sha256.hpp"
#include "handoff/files.hpp"
#include "http/download.hpp"
#include "source/credentials.hpp"
#include "source/git.hpp"
#include "steps/archive_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <format>
#include <iterator>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

/// Where the bytes come from.
struct Origin {
    enum class Kind { url, path, standard_input } kind = Kind::path;
    std::string text;  ///< as given
    std::string shown; ///< without what may be a credential
    http::Url url;     ///< for Kind::url
};

/// Before anything is known to be well-formed: what follows '?', and what stands before '@'.
std::string without_credentials(std::string_view text) {
    text = text.substr(0, text.find_first_of("?#"));
    const auto scheme = text.find("://");
    const auto from = scheme == std::string_view::npos ? 0 : scheme + 3;
    const auto at = text.rfind('@');
    const bool has_user = scheme != std::string_view::npos && at != std::string_view::npos && at >= from;
    return std::string(text.substr(0, from)) + std::string(text.substr(has_user ? at + 1 : from));
}

Origin name_origin(const std::string& text) {
    Origin origin{.kind = Origin::Kind::path, .text = text, .shown = text, .url = {}};
    if (text == "-") {
        origin.kind = Origin::Kind::standard_input;
        origin.shown = "standard input";
    } else if (constexpr std::string_view file = "file://"; text.starts_with(file)) {
        origin.text = text.substr(file.size());
    } else if (text.contains("://")) {
        origin.kind = Origin::Kind::url;
        origin.shown = without_credentials(text);
    }
    return origin;
}

/// All of a pipe or the like, up to `limit` bytes.
Status copy_stream(int from, int to, std::uint64_t limit, Step& step) {
    std::array<char, 64 * 1024> buffer{};
    std::uint64_t total = 0;
    for (;;) {
        std::array<pollfd, 2> waits{pollfd{from, POLLIN, 0}, pollfd{step.stop.fd(), POLLIN, 0}};
        if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
            return fail_errno("wait for the archive", errno);
        }
        if (step.stop.requested()) {
            return fail(step.stop.error());
        }
        if (waits[0].revents == 0) {
            continue;
        }
        const ssize_t n = ::read(from, buffer.data(), buffer.size());
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n < 0) {
            return fail_errno("read the archive", errno);
        }
        if (n == 0) {
            return {};
        }
        total += static_cast<std::uint64_t>(n);
        if (total > limit) {
            return fail(ErrorClass::build, code::cannot_extract_build_pack,
                        "the archive is larger than " + humane_bytes(limit),
                        "raise --unpacked-limit, or pack less");
        }
        TRY(write_all(to, {buffer.data(), static_cast<std::size_t>(n)}));
        step.stream.emit(bytes_of("archive", total, 0));
    }
}

Result<Fd> open_path(const std::string& path, std::string_view option) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0) {
        Error error = errno_error(path, errno);
        error.klass = ErrorClass::usage;
        error.code = code::missing_or_invalid_argument;
        error.message = "cannot read " + path;
        error.hint = std::format("check --{}", option);
        return fail(std::move(error));
    }
    if (S_ISDIR(info.st_mode)) {
        return fail_usage(path + " is a directory", "name a file, or give the tree to resolve with --source");
    }
    return fd;
}

Result<Fd> open_standard_input(std::string_view option) {
    const int flags = ::fcntl(STDIN_FILENO, F_GETFD);
    // What was inherited cannot be close-on-exec: such a descriptor is our own, which took the place of a
    // closed one.
    if (flags < 0 || (static_cast<unsigned>(flags) & static_cast<unsigned>(FD_CLOEXEC)) != 0) {
        return fail_usage(std::format("--{}=-: standard input is closed", option),
                          "pipe the file in, or name it");
    }
    struct stat info{};
    if (::isatty(STDIN_FILENO) == 1 || (::fstat(STDIN_FILENO, &info) == 0 && S_ISDIR(info.st_mode))) {
        return fail_usage(std::format("--{}=-: standard input is a {}", option,
                                      S_ISDIR(info.st_mode) ? "directory" : "terminal"),
                          "pipe the file in, or name it");
    }
    return Fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
}

Result<Fd> download(const Origin& origin, const cli::Fetch& params, const fs::path& directory, Step& step) {
    TRY_ASSIGN(http::Options options, http::Options::from_environment());
    options.ca_file = step.common.ca_file.string();
    options.user_agent = "slipway/" + program_version();
    step.secrets(options.proxies.secrets());
    http::Download what{.url = origin.url,
                        .limit = params.unpacked_limit,
                        .retry = {.retries = params.retries},
                        .on_retry = step.on_retry("fetch"),
                        .on_progress = [&](std::uint64_t received, std::uint64_t total) {
                            step.stream.emit(bytes_of("archive", received, total));
                        }};
    if (!params.basic_auth_dir.empty() && what.url.username.empty() && what.url.password.empty()) {
        TRY_ASSIGN(const auto store, source::read_basic_auth_dir(params.basic_auth_dir));
        step.secrets(store.secrets());
        if (const auto basic = source::credentials_for(store, http::text_without_query(what.url)).basic) {
            what.url.username = basic->username;
            what.url.password = basic->password;
        }
    }
    TRY_ASSIGN(Fd fd, unnamed_file(directory));
    http::Client client(std::move(options), http::Tls{.verify = params.tls_verify,
                                                      .extra_ca_files = {},
                                                      .client_certificate = {},
                                                      .client_key = {}});
    TRY_ASSIGN(const auto done, http::download(client, what, fd.get(), step.stop));
    if (done.resumed > 0) {
        step.warn("resumed", std::format("the download was resumed {} times", done.resumed));
    }
    return fd;
}

/// The bytes as a regular file.
Result<Fd> obtain(const Origin& origin, Fd opened, const cli::Fetch& params, const fs::path& directory,
                  Step& step) {
    if (origin.kind == Origin::Kind::url) {
        return download(origin, params, directory, step);
    }
    struct stat info{};
    if (origin.kind == Origin::Kind::path && ::fstat(opened.get(), &info) == 0 && S_ISREG(info.st_mode)) {
        return opened;
    }
    TRY_ASSIGN(Fd fd, unnamed_file(directory));
    constexpr std::uint64_t more_than_a_dockerfile = std::uint64_t{2} << 20U;
    TRY(copy_stream(opened.get(), fd.get(),
                    params.archive.empty() ? more_than_a_dockerfile : params.unpacked_limit, step));
    return fd;
}

/// What is downloaded, checked and unpacked into the empty directory; its digest.
Result<std::string> fill(const Origin& origin, Fd opened, const cli::Fetch& params, const fs::path& directory,
                         Step& step) {
    TRY_ASSIGN(const Fd bytes, obtain(origin, std::move(opened), params, directory, step));
    if (::lseek(bytes.get(), 0, SEEK_SET) < 0) {
        return fail_errno("read the archive", errno);
    }
    TRY_ASSIGN(std::string digest, digest::sha256_of(bytes.get()));
    TRY(check_digest(digest, params));
    TRY_ASSIGN(const Fd target, open_directory(directory));
    const archive::UnpackOptions options = unpack_options(params);
    const archive::UnpackCallbacks callbacks{
        .on_progress = [&](std::uint64_t written) { step.stream.emit(bytes_of("unpack", written, 0)); }};
    TRY_ASSIGN(const archive::Unpacked unpacked,
               params.archive.empty()
                   ? archive::place_dockerfile(bytes.get(), target.get(), step.stop)
                   : archive::unpack(bytes.get(), target.get(), options, callbacks, step.stop));
    tell(unpacked, step);
    return digest;
}

} // namespace

Result<handoff::Source> fetch_archive(const cli::Fetch& params, Step& step) {
    const bool lone = params.archive.empty();
    const std::string_view option = lone ? "dockerfile-only" : "archive";
    Origin origin = name_origin(lone ? params.dockerfile_only : params.archive);
    std::vector<std::string> secrets;
    if (origin.kind == Origin::Kind::url) {
        secrets = http::secrets_in_query(origin.text);
        std::ranges::move(source::secrets_in_url(origin.text), std::back_inserter(secrets));
    }
    for (const std::string& secret : secrets) {
        step.redactor.add(secret); // hello names the URL
    }
    step.hello(std::format("fetch {} {}", lone ? "the Dockerfile" : "the archive", origin.shown));
    step.secrets(secrets);
    TRY(handoff::forget_from(step.state, "source"));
    step.phase(frames::PhaseName::unpacking);

    TRY(check_digest_option(params));
    Fd opened;
    switch (origin.kind) {
    case Origin::Kind::url: {
        if (lone) {
            return fail_usage("--dockerfile-only takes no URL", "--archive takes Dockerfiles too");
        }
        TRY_ASSIGN(origin.url, http::parse_url(origin.text));
        break;
    }
    case Origin::Kind::path: {
        TRY_ASSIGN(opened, open_path(origin.text, option)); // before the target is emptied: it may lie there
        break;
    }
    case Origin::Kind::standard_input: {
        TRY_ASSIGN(opened, open_standard_input(option));
        break;
    }
    }
    const fs::path& directory = params.into;
    TRY_ASSIGN(std::string digest, fill_target(directory, step, [&] {
                   return fill(origin, std::move(opened), params, directory, step);
               }));
    std::string url;
    if (origin.kind == Origin::Kind::url) {
        url = http::text_without_query(origin.url);
    } else if (origin.kind == Origin::Kind::path) {
        url = "file://" + fs::absolute(origin.text).lexically_normal().string();
    }
    return hand_on(params, std::move(digest), std::move(url), step);
}

} // namespace slipway::steps
