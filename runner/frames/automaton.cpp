#include "frames/automaton.hpp"

namespace slipway::frames::detail {

Automaton::Automaton(const std::set<std::string, std::less<>>& patterns) : nodes_(1) {
    for (const std::string& pattern : patterns) {
        insert(pattern);
        const auto first = static_cast<unsigned char>(pattern[0]);
        starts_[first] = true;
        pairs_.set(pair(first, pattern[1]));
    }
    link();
}

Automaton::State Automaton::child_of(State parent, char byte) const noexcept {
    if (parent == 0) {
        return root_[static_cast<unsigned char>(byte)];
    }
    State child = nodes_[parent].child;
    while (child != 0 && nodes_[child].byte != byte) {
        child = nodes_[child].sibling;
    }
    return child;
}

void Automaton::insert(std::string_view pattern) {
    State state = 0;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        const char byte = pattern[at];
        State child = child_of(state, byte);
        if (child == 0) {
            child = static_cast<State>(nodes_.size());
            Node node;
            node.byte = byte;
            node.hold = static_cast<std::uint32_t>(at) + 1;
            if (state == 0) {
                root_[static_cast<unsigned char>(byte)] = child;
            } else {
                node.sibling = nodes_[state].child;
                nodes_[state].child = child;
            }
            nodes_.push_back(node);
        }
        state = child;
    }
    nodes_[state].match = nodes_[state].hold;
}

void Automaton::link() {
    std::vector<State> order;
    order.reserve(nodes_.size());
    for (const State child : root_) {
        if (child != 0) {
            order.push_back(child);
        }
    }
    // Breadth first: a node's fail is nearer to the root, so it is already linked when it is needed.
    for (std::size_t at = 0; at < order.size(); ++at) {
        const State state = order[at];
        for (State child = nodes_[state].child; child != 0; child = nodes_[child].sibling) {
            nodes_[child].fail = next(nodes_[state].fail, nodes_[child].byte);
            order.push_back(child);
        }
        const Node& shorter = nodes_[nodes_[state].fail];
        if (nodes_[state].match == 0) {
            nodes_[state].match = shorter.match;
        }
        // Nothing can grow from a leaf itself, only from what it ends in.
        if (nodes_[state].child == 0) {
            nodes_[state].hold = shorter.hold;
        }
    }
}

} // namespace slipway::frames::detail
