#include "source/library.hpp"

#include "base/encoding.hpp"
#include "source/stream.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <format>
#include <mutex>
#include <system_error>

namespace slipway::source {
namespace {

int set_up() {
    int rc = git_libgit2_init();
    if (rc < 0) {
        return rc;
    }
    for (const int level : {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                            GIT_CONFIG_LEVEL_GLOBAL}) {
        if (rc = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, ""); rc < 0) {
            return rc;
        }
    }
    const std::array settings = {
        git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, ""),
        git_libgit2_opts(GIT_OPT_SET_HOMEDIR, ""),
        git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0), // volumes belong to whoever the cluster says
        git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 0),
        git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0), // ids were made from what was received
        git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0),                  // hardly an object is read twice
        // A checkout passes over the pack once: little of it needs to be mapped at a time.
        git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, std::size_t{512} << 10U),
        git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, std::size_t{2} << 20U),
        git_libgit2_opts(GIT_OPT_SET_USER_AGENT_PRODUCT, "git/2.47 slipway"), // some hosts look for "git/"
        register_streams(),
        register_tls_streams(),
    };
    for (const int each : settings) {
        if (each < 0) {
            return each;
        }
    }
    return 0;
}

} // namespace

Status ensure_library() {
    static std::once_flag once;
    static LibraryError failure;
    std::call_once(once, [] { failure = take_error(set_up()); });
    if (failure.rc < 0) {
        Error error =
            make_error(ErrorClass::internal, code::internal_error, "the git library could not be set up");
        error.cause = failure.text;
        return fail(std::move(error));
    }
    return {};
}

LibraryError take_error(int rc) {
    LibraryError error{.rc = rc, .klass = GIT_ERROR_NONE, .text = {}};
    if (rc < 0) {
        if (const git_error* last = git_error_last(); last != nullptr && last->klass != GIT_ERROR_NONE) {
            error.klass = last->klass;
            error.text = clean_line(last->message == nullptr ? "" : last->message);
        }
    }
    return error;
}

LibraryError library_error(int klass, std::string_view text) {
    return {.rc = -1, .klass = klass, .text = clean_line(text)};
}

LibraryError system_error(std::string_view what, int err) {
    return library_error(GIT_ERROR_OS, std::format("{}: {}", what, std::generic_category().message(err)));
}

std::string clean_line(std::string_view text, std::size_t limit) {
    std::string line;
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        line += byte < 0x20 || byte == 0x7f ? ' ' : c;
    }
    // C1 controls are control characters too; in UTF-8 they are C2 80 … C2 9F.
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
        const auto next = static_cast<unsigned char>(line[i + 1]);
        if (static_cast<unsigned char>(line[i]) == 0xc2 && next >= 0x80 && next <= 0x9f) {
            line.replace(i, 2, " ");
        }
    }
    const std::size_t first = line.find_first_not_of(' ');
    if (first == std::string::npos) {
        return {};
    }
    line = to_valid_utf8(line.substr(first, line.find_last_not_of(' ') - first + 1));
    if (line.size() > limit) { // replacement characters are longer than what they replace
        line.resize(limit);
        while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0U) == 0x80U) {
            line.pop_back();
        }
        if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0xc0U) {
            line.pop_back();
        }
    }
    return line;
}

std::string hex(const git_oid& oid) {
    std::array<char, GIT_OID_MAX_HEXSIZE + 1> text{};
    git_oid_tostr(text.data(), text.size(), &oid);
    return text.data();
}

std::string utc_text(git_time_t seconds) {
    constexpr git_time_t end_of_9999 = 253'402'300'799;
    const std::chrono::seconds since(std::clamp<git_time_t>(seconds, 0, end_of_9999));
    return std::format("{:%FT%T}Z", std::chrono::sys_seconds(since));
}

} // namespace slipway::source
