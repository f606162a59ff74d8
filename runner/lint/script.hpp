// The text a RUN gives to the shell, with the place in the file that each byte comes from. Internal to the
// room.
#pragma once

#include "dockerfile/parse.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace slipway::lint {

struct Place {
    int line = 0;
    int column = 0; ///< 1-based, bytes
};

class Script {
  public:
    std::string text;

    [[nodiscard]] Place place(std::size_t offset) const;
    void add(std::string_view piece, int line, int column);
    /// Forgets what stands before `offset`, as far as text goes.
    void begin_at(std::size_t offset) { text.erase(0, skipped_ = offset); }

  private:
    struct Piece {
        std::size_t offset = 0;
        Place place;
    };
    std::vector<Piece> pieces_;
    std::size_t skipped_ = 0;
};

/// What `run` (or the trigger inside an ONBUILD, which `outer` then is) hands to a POSIX shell: its command
/// line, or the bodies of its here-documents where those are the script. Empty for exec forms of other
/// programs and for bodies in other languages.
std::vector<Script> shell_scripts(const dockerfile::Dockerfile& file, const dockerfile::Instruction& outer,
                                  const dockerfile::Instruction& run);

} // namespace slipway::lint
