// The line that repeats a failed build on a laptop: `podman run … slipway run …`.
//
// In: what the build was told and what it got from the steps before. Out: one shell line with the source by
// commit or digest and the base images by digest. It is for a POSIX shell except where a value holds control
// characters ($'…'). Secrets never stand in it: their files are named ./secret-ID and ./ssh-ID, those of
// credentials ./auth.json and ./ca.pem, further contexts ./context-NAME, for the reader to put there; a
// masked value stays ***. A source that cannot be fetched again (standard input, a directory) is read from
// standard input. Of fetch's options those that say what to fetch, and which part of it, are repeated; layer
// caches are left out.
#pragma once

#include "handoff/values.hpp"
#include "steps/workshop.hpp"

#include <optional>
#include <string>
#include <vector>

namespace slipway::steps {

/// Of fetch's options those that say which part of a source to take, where they are not at their defaults:
/// for handoff::Source, as the step that fails may be another than the one that fetched.
std::vector<std::string> selecting_options(const cli::Fetch& params);

std::string reproduce_line(const cli::Build& params, const cli::Common& common, const handoff::Plan& plan,
                           const std::optional<handoff::Source>& source,
                           std::optional<std::uint64_t> memory_limit);

/// As one or more `reproduce` frames.
void tell_how_to_reproduce(Workshop& shop, const handoff::Plan& plan, const Error& error);

} // namespace slipway::steps
