// The Aho-Corasick automaton of the redactor (internal to the room).
//
// Nodes keep short child lists, because almost all of a secret's trie is one chain; only the root is dense.
// Of the patterns that end at a node only the longest matters: the others lie inside it.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames::detail {

class Automaton {
  public:
    using State = std::uint32_t;

    /// Every pattern has at least two bytes.
    explicit Automaton(const std::set<std::string, std::less<>>& patterns);

    [[nodiscard]] State next(State state, char byte) const noexcept {
        while (state != 0) {
            for (State child = nodes_[state].child; child != 0; child = nodes_[child].sibling) {
                if (nodes_[child].byte == byte) {
                    return child;
                }
            }
            state = nodes_[state].fail;
        }
        return root_[static_cast<unsigned char>(byte)];
    }

    /// First place from `at` on where a pattern may begin, or the end of `bytes`. Looks at pairs of bytes:
    /// every pattern has at least two, and pairs are rare where single bytes are not.
    [[nodiscard]] std::size_t skip(std::string_view bytes, std::size_t at) const noexcept {
        for (; at < bytes.size(); ++at) {
            const auto first = static_cast<unsigned char>(bytes[at]);
            if (starts_[first] && (at + 1 == bytes.size() || pairs_.test(pair(first, bytes[at + 1])))) {
                break;
            }
        }
        return at;
    }

    /// Length of the longest pattern that ends here; 0 = none.
    [[nodiscard]] std::size_t match(State state) const noexcept { return nodes_[state].match; }
    /// How many of the last bytes may still become part of a pattern not yet ended.
    [[nodiscard]] std::size_t hold(State state) const noexcept { return nodes_[state].hold; }

  private:
    struct Node {
        State child = 0;
        State sibling = 0;
        State fail = 0;
        std::uint32_t match = 0;
        std::uint32_t hold = 0;
        char byte = 0;
    };
    static constexpr std::size_t pair(unsigned char first, char second) noexcept {
        return static_cast<std::size_t>(first) << 8U | static_cast<unsigned char>(second);
    }
    [[nodiscard]] State child_of(State parent, char byte) const noexcept;
    void insert(std::string_view pattern);
    void link();

    std::vector<Node> nodes_;
    std::array<State, 256> root_{};
    std::array<bool, 256> starts_{};
    std::bitset<65536> pairs_;
};

} // namespace slipway::frames::detail
