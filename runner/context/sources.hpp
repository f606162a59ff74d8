// Whether COPY, ADD and bind mounts will find their sources in the context, as buildah 1.39 looks for them.
//
// Sources are joined to the context's path and cleaned, so a trailing slash or a leading one means nothing
// and `..` stops at the context. Patterns are Go's filepath.Glob, with `**` for any number of directories. A
// pattern without any match is passed over as long as another source of the same instruction has one; a
// plain path never is. What a source names is then held against the ignore rules; a symbolic link is
// followed first, inside the context.
//
// Only what certainly fails is found; every limit met means "nothing found". Names and patterns in findings
// are as they are in the tree: not fit for a terminal.
#pragma once

#include "base/result.hpp"
#include "base/stop.hpp"
#include "context/ignore.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::context {

struct Finding {
    enum class Kind {
        missing,       ///< there is no such file
        no_match,      ///< a pattern that matches nothing
        excluded,      ///< all it names is excluded; `line` is a pattern's that does it
        dead_link,     ///< a symbolic link to `path`, which is not there
        link_excluded, ///< a symbolic link to `path`, which is excluded
        climbs,        ///< found, but at `path`, because `..` stops at the context. No error
    };
    Kind kind = Kind::missing;
    std::string source; ///< as given
    std::string path;   ///< what it comes to, relative to the context
    int line = 0;       ///< of the ignore file
};

class Sources {
  public:
    /// `path` is the context's own, absolute and without links: buildah joins sources to it.
    Sources(int context, std::string path, IgnoreRules rules, StopToken stop)
        : context_(context), path_(std::move(path)), rules_(std::move(rules)), stop_(std::move(stop)) {}

    /// The sources of one COPY or ADD, local ones only, and its `--exclude`s.
    Result<std::vector<Finding>> copied(const std::vector<std::string>& sources,
                                        const std::vector<std::string>& excludes) const;

    /// The source of a bind mount, to which ignore rules do not apply.
    [[nodiscard]] std::vector<Finding> mounted(const std::string& source) const;

    /// Where in the context `source` leads, lexically; "" for all of it.
    [[nodiscard]] std::string place(std::string_view source, bool* climbs = nullptr) const;

  private:
    struct Item;
    Result<Item> examine(const IgnoreRules& rules, const std::string& path) const;

    int context_;
    std::string path_;
    IgnoreRules rules_;
    StopToken stop_;
};

/// For a path that is not there: the deepest directory above it that is, the first component missing in it,
/// and the names beside that one.
struct Neighbours {
    std::string directory; ///< "" = the context
    std::string component;
    std::vector<std::string> names;
};
Neighbours neighbours(int context, std::string_view path);

/// Paths of files with the last component's name elsewhere in the context (excluded or not), at most `most`;
/// a large tree is searched in part.
std::vector<std::string> same_name(int context, std::string_view path, std::size_t most,
                                   const StopToken& stop);

} // namespace slipway::context
