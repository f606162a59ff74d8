// What `fetch` of archives and of OCI artifacts have in common: the target, the limits, what is told.
#pragma once

#include "archive/unpack.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "cli/params.hpp"
#include "handoff/values.hpp"
#include "steps/step.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace slipway::steps {

/// A file of no name on the volume of `directory`: a zip has to be read from its end.
Result<Fd> unnamed_file(const std::filesystem::path& directory);

/// `total` 0 = not known.
frames::Progress bytes_of(std::string_view id, std::uint64_t current, std::uint64_t total);

/// --archive-digest is a SHA-256, if it is given. Error: class usage.
Status check_digest_option(const cli::Fetch& params);
/// What was found is what --archive-digest names, if it is given. Error: build/cannotextractbuildpack.
Status check_digest(const std::string& found, const cli::Fetch& params);

archive::UnpackOptions unpack_options(const cli::Fetch& params);

/// A log line, and a warning for each note.
void tell(const archive::Unpacked& unpacked, Step& step);

/// Empties the directory, and again where `fill`, which puts the source into it, fails. The digest `fill`
/// gives.
Result<std::string> fill_target(const std::filesystem::path& directory, Step& step,
                                const std::function<Result<std::string>()>& fill);

/// Hands on what lies in --into now and says so in results. `url` is empty where it came from no place with a
/// name.
Result<handoff::Source> hand_on(const cli::Fetch& params, std::string digest, std::string url, Step& step);

} // namespace slipway::steps
