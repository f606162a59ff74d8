// .gitmodules (gitmodules(5)): understanding it as git does, and trusting nothing in it. Pure.
//
// What a hostile one can say: names that leave .git/modules or nest in another's directory, URLs that are
// options, commands (`update = !…` is never run, nor anything else), or files of this machine.
#pragma once

#include "base/result.hpp"
#include "source/git.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

struct Submodule {
    std::string name;
    std::string path;   ///< as written, slashes at its end taken off
    std::string url;    ///< as written; may be relative or empty
    bool never = false; ///< `update = none`: git leaves it alone
};

/// Where several entries have one path, the last one counts, as in git. Error: class build, code gitfailure,
/// where the file is malformed.
Result<std::vector<Submodule>> parse_gitmodules(std::string_view text);

/// A name becomes a path below .git/modules. Refused (class build): empty ones, empty, `.` and `..`
/// components, control characters, more than 255 bytes in a component or 1,024 in all.
Status check_submodule_name(std::string_view name);

/// `url` as git resolves it against `parent`, the URL of the repository it stands in. Only `./` and `../` are
/// relative. Error (class build): it leads above the host.
Result<std::string> resolve_submodule_url(std::string_view url, std::string_view parent);

/// Whether a repository fetched by `parent` may have a submodule there. A file:// URL or local path names the
/// machine that fetches, which the author of a remote repository has no say in.
Status check_submodule_url(const GitUrl& url, GitUrl::Scheme parent);

/// Whether `path` is one of `wanted` or lies beneath one; no `wanted` = all.
bool submodule_is_wanted(const std::vector<std::string>& wanted, std::string_view path);

} // namespace slipway::source
