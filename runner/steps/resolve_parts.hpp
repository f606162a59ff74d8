// The parts of the step `resolve`, each in a file of its own: finding the Dockerfile, examining the context.
#pragma once

#include "base/fd.hpp"
#include "base/file.hpp"
#include "cli/params.hpp"
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "handoff/values.hpp"
#include "steps/step.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace slipway::steps {

/// The tree, opened.
struct SourceTree {
    std::filesystem::path root; ///< as it was named
    Fd root_fd;
    std::string context; ///< relative to root, "." for all of it
    Fd context_fd;
};

/// Opens both. A leading '/' of `context` is the source's root, as Quay writes it.
Result<SourceTree> open_source_tree(std::filesystem::path root, const std::string& context);

struct FoundDockerfile {
    std::string path; ///< relative to the source
    std::string content;
};

/// What resolve warns of goes into a frame and into the plan.
class Warnings {
  public:
    Warnings(Step& step, std::vector<handoff::PlannedWarning>& kept) : step_(step), kept_(kept) {}
    void add(std::string code, std::string message, std::string hint = {});

  private:
    Step& step_;
    std::vector<handoff::PlannedWarning>& kept_;
};

/// The file `wish` names, relative to the source (as Tekton's tasks mean it) or, if there is none, to the
/// context (as Quay does). By default the context's Dockerfile, else its Containerfile. It may lie outside
/// the context, never outside the source.
Result<FoundDockerfile> find_dockerfile(const SourceTree& tree, const std::string& wish, Warnings& warnings);

/// --build-context and --base-image-override, told apart.
struct NamedContexts {
    std::map<std::string, std::string> directories; ///< name → absolute path
    std::map<std::string, std::string> images;      ///< what the Dockerfile names → what is built on
    std::set<std::string, std::less<>> image_names; ///< those of `images` that are contexts
};

/// Archives and repositories by URL are refused: they are `fetch`'s. Errors: usage.
Result<NamedContexts> named_contexts(const cli::Resolve& params, const SourceTree& tree);
/// No stage may bear the name of an image's context; a context nobody uses is a warning.
Status check_named_contexts(const NamedContexts& named, const dockerfile::BuildPlan& parsed,
                            Warnings& warnings);

/// Finds the ignore file, walks the context and looks for the sources of COPY, ADD and bind mounts; fills in
/// what `plan` says about the context. A source that the build would certainly not find is an error: class
/// build, code contextissue, with its place in the Dockerfile.
Status examine_context(const SourceTree& tree, const dockerfile::Dockerfile& file,
                       const dockerfile::BuildPlan& parsed, bool list, handoff::Plan& plan,
                       Warnings& warnings, Step& step);

} // namespace slipway::steps
