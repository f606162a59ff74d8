// The four steps: each a function of its predecessor's value, its own parameters and the Step it reports to.
//
// Between containers the values travel through the hand-off directory; `run_verb` reads and writes them. In
// `slipway run` they are passed directly. Nobody else's rooms are seen through these signatures.
#pragma once

#include "cli/params.hpp"
#include "handoff/values.hpp"
#include "steps/step.hpp"

namespace slipway::lint {
struct Findings;
}

namespace slipway::steps {

/// The source as a clean tree in `params.into` (or <state>/source).
/// Results: commit, short-commit, url, committer-date, CHAINS-GIT_URL, CHAINS-GIT_COMMIT.
Result<handoff::Source> fetch(const cli::Fetch& params, Step& step);

/// The Dockerfile found, understood and its bases pinned. `source` names the tree unless params.source does.
/// Results: BASE_IMAGES_DIGESTS.
/// What the checks of lint/ find is told in frames, or put into `findings` where a report is asked for.
Result<handoff::Plan> resolve(const cli::Resolve& params, const handoff::Source& source, Step& step,
                              lint::Findings* findings = nullptr);

/// The image as a layout below the hand-off directory.
Result<handoff::Image> build(const cli::Build& params, const handoff::Plan& plan, Step& step);

/// The layout in the registry. Destination, tags and credentials come from `params` and the common options
/// alone; `image` was written next to a build and is believed in nothing.
/// Results: IMAGE_URL, IMAGE_DIGEST, IMAGE_REF, IMAGES.
Result<handoff::Pushed> push(const cli::Push& params, const handoff::Image& image, Step& step);

/// Images of several platforms, pushed before, under one name: an OCI index or Docker's manifest list.
/// Results: IMAGE_URL, IMAGE_DIGEST, IMAGE_REF, IMAGES.
Status index(const cli::Index& params, Step& step);

} // namespace slipway::steps
