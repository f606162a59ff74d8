// .gitattributes (gitattributes(5)): what they say about how a file's content becomes the work tree's. Pure.
//
// Read are `text`, `eol`, `crlf`, `ident`, `filter`, `working-tree-encoding` and macros that set them;
// everything else (export-ignore, diff, linguist-…) has no effect on a checkout. As in git, lines of more
// than 2,048 bytes and patterns with `!` are passed over, and macros are defined in the root's file only.
// Limits: 1 MiB a file, 50,000 lines that matter.
#pragma once

#include "base/result.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

struct FileAttributes {
    enum class Text { unspecified, binary, text, automatic } text = Text::unspecified;
    bool crlf = false; ///< lines are to end in CR LF, where the content is text
    bool ident = false;
    std::string filter;   ///< name; empty = none
    std::string encoding; ///< of the work tree's file; empty = as stored
};

class Attributes {
  public:
    /// The file of `directory` ("" = the root, else without a final slash). Error: class build, past a limit.
    Status add(std::string_view directory, std::string_view content);

    /// `path` relative to the root. May be called from several threads once all files have been added.
    [[nodiscard]] FileAttributes of(std::string_view path) const;

    [[nodiscard]] bool empty() const { return files_.empty(); }

  private:
    /// One attribute as a line gives it. State `unspecified` is `!name`, which ends the search as well.
    struct Setting {
        std::string name;
        enum class State { set, unset, unspecified, value } state = State::set;
        std::string value;
    };
    struct Rule {
        std::string pattern;
        bool whole_path = false; ///< matched against the path below the directory, not the file's name
        std::vector<Setting> settings;
    };
    using Found = std::map<std::string, Setting, std::less<>>;

    void parse_line(std::string_view line, bool root, std::vector<Rule>& rules);
    [[nodiscard]] bool matters(const Setting& setting) const;
    void take(const Setting& setting, Found& found, int depth) const;

    std::map<std::string, std::vector<Rule>, std::less<>> files_; ///< by directory
    std::map<std::string, std::vector<Setting>, std::less<>> macros_;
    std::size_t rules_ = 0;
};

} // namespace slipway::source
