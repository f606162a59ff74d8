// Patterns as Go's path.Match reads them, which buildah's `${x#p}`, `${x%p}` and `${x/p/r}` go by: `*` and
// `?` never cross a slash, `[a-z]` and `[^a-z]` are sets, a backslash takes the meaning from what follows.
// Internal to the room. Work is bounded: what would take too long is an error, so no pattern can hang a
// build.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::dockerfile {

class PathPattern {
  public:
    /// A pattern path.Match refuses ("[", a trailing backslash) matches nothing.
    explicit PathPattern(std::string_view pattern);

    /// Shortest or longest match of `text` from `start` that ends within [`least`, `most`]; its end.
    std::optional<std::size_t> match(std::string_view text, std::size_t start, bool longest,
                                     std::size_t least, std::size_t most);

    /// The work allowed is used up: every answer is "no match" from here on.
    [[nodiscard]] bool exhausted() const noexcept;

  private:
    enum class Kind { literal, any, star, set };
    struct Token {
        Kind kind = Kind::literal;
        char32_t character = 0;
        bool negated = false;
        std::vector<std::pair<char32_t, char32_t>> ranges;
    };

    static bool takes(const Token& token, char32_t character);
    bool read_set(std::string_view pattern, std::size_t& at);
    void close(std::vector<char>& states) const;

    std::vector<Token> tokens_;
    bool valid_ = true;
    std::size_t work_ = 0;
};

} // namespace slipway::dockerfile
