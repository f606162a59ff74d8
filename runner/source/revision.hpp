// Objects by the beginning of their id, and what a commit says of its origin.
#pragma once

#include "source/git.hpp"

#include <git2.h>
#include <string_view>

namespace slipway::source {

/// The one commit (or tag of one) whose id begins with `prefix`, 4 to 39 lower-case hex digits, as git
/// disambiguates: other objects count only where no commit begins so. None, or several: class build, code
/// gitcheckout; the candidates stand in the hint.
Result<git_oid> find_abbreviated(git_repository* repository, std::string_view prefix, const GitUrl& url);

/// Tree id and author's date.
void describe_origin(const git_commit* commit, Checkout& into);

} // namespace slipway::source
