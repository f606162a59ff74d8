// Writing a hostile tree below one directory.
//
// Every entry is made by its last component in a directory that was walked to one component at a time, with
// O_NOFOLLOW: no link, whoever made it, is ever followed, so nothing outside `root` can be reached.
// libarchive's own disk writer is not used: its checks go by path names, and it changes the process's umask.
//
// Rules: of two entries of one name the last wins, and replaces what is there by a new file; a directory that
// holds something is only ever replaced by a directory, with what it holds kept. An entry whose way leads
// through a file or a link is an error. Permissions are the archived ones as under umask 022, without set-id
// and sticky bits, and their owner may always read and write. Owners, extended attributes and ACLs are not
// taken over.
//
// Errors: build/cannotextractbuildpack for what is wrong with the archive; resource/outofdisk; errno's
// otherwise.
#pragma once

#include "archive/name.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace slipway::archive {

/// What an entry says about itself. The time is taken within 1970 and 9999.
struct Attributes {
    mode_t mode = 0644;
    std::optional<timespec> modified;
};

class Tree {
  public:
    /// `root` stays the caller's. At most `limit` files, links and directories are made.
    Tree(int root, std::uint64_t limit) : root_(root), limit_(limit) {}

    Status directory(const Name& name, const Attributes& attributes);
    /// A new, empty file, open for writing. Its attributes are set by `close_file`.
    Result<Fd> file(const Name& name);
    static Status close_file(Fd fd, const Attributes& attributes);
    Status symbolic_link(const Name& name, const std::string& target, const Attributes& attributes);
    /// To a regular file made before. (Why a link to a link is refused: what it means changes with its
    /// place.)
    Status hard_link(const Name& name, const Name& target);
    /// Permissions and times of directories, which what is put into them would change.
    Status finish();

    [[nodiscard]] std::uint64_t made() const noexcept { return made_; }

  private:
    Result<int> parent_of(const Name& name, bool create);
    Status make_directory(int parent, const std::string& name, const std::string& path);
    Status make_way(int parent, const std::string& name, const std::string& path);
    Status count();

    int root_;
    std::uint64_t limit_;
    std::uint64_t made_ = 0;
    /// The directories on the way to the last entry, outermost first.
    std::vector<std::pair<std::string, Fd>> way_;
    /// Every directory made, by path.
    std::map<std::string, Attributes> directories_;
};

} // namespace slipway::archive
