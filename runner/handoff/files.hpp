// The hand-off directory: source.json, plan.json, image.json, pushed.json.
//
// Written whole (temporary file, then rename) with mode 0640; read with a size limit, without following a
// link at the last component, and checked member by member: the directory is shared with a build, so a file
// in it may be anybody's. Format, versions and limits: docs/handoff.md.
#pragma once

#include "base/result.hpp"
#include "handoff/values.hpp"

#include <filesystem>

namespace slipway::handoff {

/// Version in every file's first member, `"slipway-handoff": 1`.
inline constexpr int format_version = 1;

Status write(const std::filesystem::path& state, const Source& value);
Status write(const std::filesystem::path& state, const Plan& value);
Status write(const std::filesystem::path& state, const Image& value);
Status write(const std::filesystem::path& state, const Pushed& value);

// A file that is not there is class usage ("run the fetch step first"); one that is damaged, too large, of a
// newer version or has a member of the wrong type is class usage too and names the member.
Result<Source> read_source(const std::filesystem::path& state);
Result<Plan> read_plan(const std::filesystem::path& state);
Result<Image> read_image(const std::filesystem::path& state);
Result<Pushed> read_pushed(const std::filesystem::path& state);

/// Removes the files of this step and all later ones, so that a retry on the same volume never meets an old
/// value. `first` is "source", "plan", "image" or "pushed".
Status forget_from(const std::filesystem::path& state, std::string_view first);

} // namespace slipway::handoff
