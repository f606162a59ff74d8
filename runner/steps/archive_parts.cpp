#include "steps/archive_parts.hpp"

#include "base/clock.hpp"
#include "digest/sha256.hpp"
#include "handoff/files.hpp"
#include "source/workdir.hpp"
#include "steps/reproduce.hpp"

#include <cerrno>
#include <fcntl.h>
#include <format>
#include <unistd.h>
#include <utility>

namespace slipway::steps {

namespace fs = std::filesystem;

namespace {

Status empty(const fs::path& directory, Step& step) {
    std::vector<std::string> notes;
    TRY(source::empty_directory(directory, notes));
    for (const std::string& note : notes) {
        step.warn("fetchnote", note);
    }
    return {};
}

} // namespace

Result<Fd> unnamed_file(const fs::path& directory) {
    Fd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd) {
        return fd;
    }
    std::string path =
        (directory / ".slipway-archive-XXXXXX").string(); // not every file system has O_TMPFILE
    fd.reset(::mkostemp(path.data(), O_CLOEXEC));
    if (!fd || ::unlink(path.c_str()) != 0) {
        return fail_errno("create a temporary file in " + directory.string(), errno);
    }
    return fd;
}

frames::Progress bytes_of(std::string_view id, std::uint64_t current, std::uint64_t total) {
    return {.what = "fetch",
            .id = std::string(id),
            .current = current,
            .total = total > 0 ? std::optional(total) : std::nullopt,
            .unit = frames::Unit::bytes};
}

Status check_digest_option(const cli::Fetch& params) {
    if (!params.archive_digest.empty()) {
        TRY_ASSIGN(const digest::Digest digest, digest::parse_digest(params.archive_digest));
        if (digest.algorithm != digest::Algorithm::sha256) {
            return fail_usage("--archive-digest takes sha256:HEX only", "give the archive's SHA-256");
        }
    }
    return {};
}

Status check_digest(const std::string& found, const cli::Fetch& params) {
    if (params.archive_digest.empty() || params.archive_digest == found) {
        return {};
    }
    Error error = make_error(ErrorClass::build, code::cannot_extract_build_pack,
                             "the archive is not the one --archive-digest names",
                             "check the digest, or whether the archive was replaced or damaged");
    error.cause = std::format("expected {}, got {}", params.archive_digest, found);
    return fail(std::move(error));
}

archive::UnpackOptions unpack_options(const cli::Fetch& params) {
    archive::UnpackOptions options;
    options.limits.bytes = params.unpacked_limit;
    options.limits.entries = static_cast<std::uint64_t>(params.entry_limit);
    options.limits.ratio = static_cast<std::uint64_t>(params.ratio_limit);
    options.strip_components = params.strip_components;
    return options;
}

void tell(const archive::Unpacked& unpacked, Step& step) {
    step.stream.log(frames::Lane::out, std::format("{}: {} files and directories, {}", unpacked.what,
                                                   unpacked.entries, humane_bytes(unpacked.bytes)));
    for (const std::string& note : unpacked.notes) {
        step.warn("archivenote", note);
    }
}

Result<std::string> fill_target(const fs::path& directory, Step& step,
                                const std::function<Result<std::string>()>& fill) {
    if (directory == "/") {
        return fail_usage("the source cannot be put into /", "name a directory of its own with --into");
    }
    TRY(empty(directory, step));
    auto digest = fill();
    if (!digest) {
        if (const Status emptied = empty(directory, step); !emptied) {
            step.warn("fetchnote", "what was unpacked could not be removed: " + emptied.error().message);
        }
    }
    return digest;
}

Result<handoff::Source> hand_on(const cli::Fetch& params, std::string digest, std::string url, Step& step) {
    handoff::Source value;
    value.directory = params.into.string();
    value.archive_digest = std::move(digest);
    value.options = selecting_options(params);
    value.url = std::move(url);
    TRY(handoff::write(step.state, value));
    if (!value.url.empty()) {
        step.result("url", value.url);
    }
    step.result("archive-digest", value.archive_digest);
    return value;
}

} // namespace slipway::steps
