// What can go wrong, as a value: the one error type every room returns.
//
// Codes are stable, lower case, and follow Quay's `io.quay.builder.` vocabulary wherever it has a word;
// classes say whose move it is and decide the exit status. docs/frames.md lists both.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace slipway {

/// Whose move it is. The class follows the cause, not the code.
enum class ErrorClass { usage, build, auth, network, registry, pod, resource, internal, cancelled };

/// Name as it stands in frames, e.g. "build".
std::string_view to_string(ErrorClass klass) noexcept;

/// Exit status of a class: 2 for usage, 10..16 for the rest. `cancelled` has none of its own (128+signal).
int exit_status(ErrorClass klass) noexcept;

/// Codes used in more than one place. The set is open; a new one keeps the style.
namespace code {
inline constexpr std::string_view missing_or_invalid_argument = "missingorinvalidargument";
inline constexpr std::string_view dockerfile_issue = "dockerfileissue";
inline constexpr std::string_view build_error = "builderror";
inline constexpr std::string_view git_checkout = "gitcheckout";
inline constexpr std::string_view git_auth = "gitauth";
inline constexpr std::string_view git_failure = "gitfailure";
inline constexpr std::string_view build_pack_issue = "buildpackissue";
inline constexpr std::string_view cannot_extract_build_pack = "cannotextractbuildpack";
inline constexpr std::string_view context_issue = "contextissue";
inline constexpr std::string_view cannot_pull_base_image = "cannotpullbaseimage";
inline constexpr std::string_view registry_auth = "registryauth";
inline constexpr std::string_view push_issue = "pushissue";
inline constexpr std::string_view tag_issue = "tagissue";
inline constexpr std::string_view network = "network";
inline constexpr std::string_view pod_forbids = "podforbids";
inline constexpr std::string_view build_run_error = "buildrunerror";
inline constexpr std::string_view out_of_memory = "outofmemory";
inline constexpr std::string_view out_of_disk = "outofdisk";
inline constexpr std::string_view deadline = "deadline";
inline constexpr std::string_view internal_error = "internalerror";
inline constexpr std::string_view cancelled = "cancelled";
} // namespace code

/// A place in a file of the user's, for errors the author of that file can mend.
struct Where {
    std::string file;  ///< path as the user knows it, relative to the source where possible
    int line = 0;      ///< 1-based; 0 = the whole file
    int column = 0;    ///< 1-based, in bytes; 0 = unknown
    std::string quote; ///< the line itself, for showing with a caret; may be empty

    bool operator==(const Where&) const = default;
};

/// One failure, said once. `message` is one line for a person; `cause` the tool's own words, not yet
/// redacted; `hint` what to change.
struct [[nodiscard]] Error {
    std::string code;
    ErrorClass klass = ErrorClass::internal;
    std::string message;
    std::string cause;
    std::string hint;
    std::optional<Where> where;

    /// Exit status of a child that failed (a RUN's, say), 0..255; unrelated to ours.
    std::optional<int> child_exit;
    /// Trying the same again may succeed (refused, reset, 5xx, 429, truncated). Never set for what is final.
    bool transient = false;
    /// How long the other side asked us to wait before the next try.
    std::optional<std::chrono::seconds> retry_after;
};

/// Error of class `klass`; the remaining members are set by the caller where they are known.
Error make_error(ErrorClass klass, std::string_view code, std::string message, std::string hint = {});

/// A system call's failure: class internal, `cause` is "<what>: <strerror>". ENOSPC/EDQUOT become
/// resource/outofdisk, so no caller has to tell them apart again.
Error errno_error(std::string_view what, int err);

} // namespace slipway
