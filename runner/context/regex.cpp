#include "context/regex.hpp"

#include "context/text.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace slipway::context {

namespace {

using Refused = std::unexpected<Regex::Refusal>;
constexpr auto malformed = Regex::Refusal::malformed;
constexpr auto unread = Regex::Refusal::unread;

constexpr int deepest = 200;       // groups in groups; Go's limit is 1000
constexpr int most_repeats = 1000; // Go's limit, also of nested repeats multiplied
constexpr std::size_t longest_program = 10'000;
constexpr char32_t last_rune = 0x10ffff;

bool is_digit(char32_t c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// What an expression is made of, before it becomes a program.
struct Node {
    enum class Kind { nothing, rune, any_but_line_feed, set, begin, end, sequence, either, repeat };
    Kind kind = Kind::nothing;
    char32_t rune = 0;
    std::uint32_t set = 0;
    std::vector<Node> children = {};
    int min = 0;
    int max = 0; ///< -1 = without end
};

} // namespace

class RegexCompiler {
  public:
    explicit RegexCompiler(std::string_view expression) : rest_(expression) {}

    std::expected<Regex, Regex::Refusal> run() {
        auto node = alternatives(0);
        if (!node) {
            return Refused(node.error());
        }
        if (!rest_.empty()) {
            return Refused(malformed); // a `)` too many
        }
        // Alternatives other than the first need not begin with the `^` that every pattern is given.
        out_.anchored_ =
            node->kind == Node::Kind::begin ||
            (node->kind == Node::Kind::sequence && node->children.front().kind == Node::Kind::begin);
        emit(*node);
        add(Regex::Op::match);
        if (out_.program_.size() > longest_program) {
            return Refused(unread);
        }
        return std::move(out_);
    }

  private:
    using Parsed = std::expected<Node, Regex::Refusal>;
    struct Counts {
        int min;
        int max;
    };

    [[nodiscard]] bool at(char c) const { return rest_.starts_with(c); }
    bool take(char c) {
        if (!at(c)) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }
    char32_t take_rune() {
        const Rune rune = decode_rune(rest_);
        rest_.remove_prefix(rune.length);
        return rune.value;
    }

    Parsed alternatives(int depth) {
        if (depth > deepest) {
            return Refused(unread);
        }
        Node either{.kind = Node::Kind::either};
        do {
            auto branch = sequence(depth);
            if (!branch) {
                return branch;
            }
            either.children.push_back(std::move(*branch));
        } while (take('|'));
        if (either.children.size() == 1) {
            Node only = std::move(either.children.front());
            return only;
        }
        return either;
    }

    Parsed sequence(int depth) {
        Node sequence{.kind = Node::Kind::sequence};
        bool repeated = false; // one repetition cannot be repeated without a group around it
        while (!rest_.empty() && !at('|') && !at(')')) {
            auto counts = repetition();
            if (!counts) {
                return Refused(counts.error());
            }
            if (*counts) {
                if (repeated || sequence.children.empty()) {
                    return Refused(malformed);
                }
                repeated = true;
                Node repeat{.kind = Node::Kind::repeat, .min = (*counts)->min, .max = (*counts)->max};
                repeat.children.push_back(std::move(sequence.children.back()));
                if (!repeats_within(repeat, most_repeats)) {
                    return Refused(malformed);
                }
                sequence.children.back() = std::move(repeat);
                continue;
            }
            repeated = false;
            auto next = atom(depth);
            if (!next) {
                return next;
            }
            sequence.children.push_back(std::move(*next));
        }
        if (sequence.children.empty()) {
            return Node{};
        }
        return sequence;
    }

    static bool repeats_within(const Node& node, int limit) {
        if (node.kind == Node::Kind::repeat) {
            const int times = node.max < 0 ? node.min : node.max;
            if (times > limit) {
                return false;
            }
            limit = times > 0 ? limit / times : limit;
        }
        return std::ranges::all_of(node.children,
                                   [&](const Node& child) { return repeats_within(child, limit); });
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}`; a brace that begins none of these is an ordinary character.
    std::expected<std::optional<Counts>, Regex::Refusal> repetition() {
        if (take('*')) {
            return Counts{0, -1};
        }
        if (take('+')) {
            return Counts{1, -1};
        }
        if (take('?')) {
            return Counts{0, 1};
        }
        if (!at('{')) {
            return std::nullopt;
        }
        std::string_view text = rest_.substr(1);
        const auto min = number(text);
        if (!min) {
            return std::nullopt;
        }
        int max = *min;
        if (text.starts_with(',')) {
            text.remove_prefix(1);
            max = -1;
            if (!text.starts_with('}')) {
                const auto given = number(text);
                if (!given) {
                    return std::nullopt;
                }
                max = *given;
            }
        }
        if (!text.starts_with('}')) {
            return std::nullopt;
        }
        rest_ = text.substr(1);
        if (*min > most_repeats || max > most_repeats || (max >= 0 && *min > max)) {
            return Refused(malformed);
        }
        return Counts{*min, max};
    }

    static std::optional<int> number(std::string_view& text) {
        const std::size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
        if (length == 0 || (length > 1 && text.front() == '0')) {
            return std::nullopt;
        }
        int value = 0;
        for (const char c : text.substr(0, length)) {
            value = std::min(value * 10 + (c - '0'), most_repeats + 1);
        }
        text.remove_prefix(length);
        return value;
    }

    Parsed atom(int depth) {
        if (take('(')) {
            auto inner = alternatives(depth + 1);
            if (inner && !take(')')) {
                return Refused(malformed);
            }
            return inner;
        }
        if (take('[')) {
            return set();
        }
        if (take('^')) {
            return Node{.kind = Node::Kind::begin};
        }
        if (take('$')) {
            return Node{.kind = Node::Kind::end};
        }
        if (take('.')) {
            return Node{.kind = Node::Kind::any_but_line_feed};
        }
        if (at('\\')) {
            Regex::Set shorthand;
            if (add_shorthand(shorthand)) {
                return keep(std::move(shorthand));
            }
            rest_.remove_prefix(1);
            const auto rune = escaped();
            if (!rune) {
                return Refused(rune.error());
            }
            return Node{.kind = Node::Kind::rune, .rune = *rune};
        }
        return Node{.kind = Node::Kind::rune, .rune = take_rune()};
    }

    Node keep(Regex::Set set) {
        out_.sets_.push_back(std::move(set));
        return {.kind = Node::Kind::set, .set = static_cast<std::uint32_t>(out_.sets_.size() - 1)};
    }

    /// What follows a backslash, for one character.
    std::expected<char32_t, Regex::Refusal> escaped() {
        if (rest_.empty()) {
            return Refused(malformed);
        }
        const char32_t c = take_rune();
        switch (c) {
        case 'a': return U'\a';
        case 'f': return U'\f';
        case 'n': return U'\n';
        case 'r': return U'\r';
        case 't': return U'\t';
        case 'v': return U'\v';
        default: break;
        }
        if (is_digit(c) ||
            (c < 0x80 && std::string_view("ABCEGKNPQRXZbpxz").contains(static_cast<char>(c)))) {
            return Refused(unread);
        }
        if (c >= 0x80 || is_letter(c)) {
            return Refused(malformed);
        }
        return c;
    }

    /// \d, \s, \w and their opposites.
    bool add_shorthand(Regex::Set& set) {
        if (rest_.size() < 2 || !at('\\')) {
            return false;
        }
        using Ranges = std::vector<std::pair<char32_t, char32_t>>;
        Ranges ranges;
        switch (rest_[1]) {
        case 'd': ranges = {{'0', '9'}}; break;
        case 'D': ranges = {{0, '0' - 1}, {'9' + 1, last_rune}}; break;
        case 's': ranges = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}; break;
        case 'S': ranges = {{0, 8}, {'\v', '\v'}, {'\r' + 1, ' ' - 1}, {' ' + 1, last_rune}}; break;
        case 'w': ranges = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; break;
        case 'W':
            ranges = {{0, '0' - 1}, {'9' + 1, 'A' - 1}, {'Z' + 1, '_' - 1}, {'`', '`'}, {'z' + 1, last_rune}};
            break;
        default: return false;
        }
        rest_.remove_prefix(2);
        set.ranges.insert(set.ranges.end(), ranges.begin(), ranges.end());
        return true;
    }

    /// A class, its `[` already taken.
    Parsed set() {
        Regex::Set set{.ranges = {}, .negated = take('^')};
        for (bool first = true; first || !at(']'); first = false) {
            if (rest_.empty()) {
                return Refused(malformed);
            }
            if (rest_.starts_with("[:") && rest_.find(":]", 2) != std::string_view::npos) {
                return Refused(unread);
            }
            if (add_shorthand(set)) {
                continue;
            }
            const auto low = set_member();
            if (!low) {
                return Refused(low.error());
            }
            char32_t high = *low;
            if (rest_.size() > 1 && at('-') && rest_[1] != ']') {
                rest_.remove_prefix(1);
                const auto member = set_member();
                if (!member) {
                    return Refused(member.error());
                }
                high = *member;
            }
            if (high < *low) {
                return Refused(malformed);
            }
            set.ranges.emplace_back(*low, high);
        }
        rest_.remove_prefix(1);
        return keep(std::move(set));
    }

    std::expected<char32_t, Regex::Refusal> set_member() {
        if (rest_.empty()) {
            return Refused(malformed);
        }
        return take('\\') ? escaped() : take_rune();
    }

    // The program: each piece falls through to what is added after it.

    std::uint32_t add(Regex::Op op, char32_t rune = 0, std::uint32_t to = 0) {
        out_.program_.push_back({.op = op, .rune = rune, .to = to, .other = 0});
        return static_cast<std::uint32_t>(out_.program_.size() - 1);
    }
    [[nodiscard]] std::uint32_t here() const { return static_cast<std::uint32_t>(out_.program_.size()); }

    void emit(const Node& node) {
        if (out_.program_.size() > longest_program) {
            return; // run() refuses it
        }
        using Kind = Node::Kind;
        switch (node.kind) {
        case Kind::nothing: break;
        case Kind::rune: add(Regex::Op::rune, node.rune); break;
        case Kind::any_but_line_feed: add(Regex::Op::any_but_line_feed); break;
        case Kind::set: add(Regex::Op::set, 0, node.set); break;
        case Kind::begin: add(Regex::Op::begin); break;
        case Kind::end: add(Regex::Op::end); break;
        case Kind::sequence:
            for (const Node& child : node.children) {
                emit(child);
            }
            break;
        case Kind::either: emit_either(node); break;
        case Kind::repeat: emit_repeat(node); break;
        }
    }

    void emit_either(const Node& node) {
        std::vector<std::uint32_t> ends;
        for (std::size_t i = 0; i < node.children.size(); ++i) {
            const bool last = i + 1 == node.children.size();
            const std::uint32_t split = last ? 0 : add(Regex::Op::split, 0, here() + 1);
            emit(node.children[i]);
            if (!last) {
                ends.push_back(add(Regex::Op::jump));
                out_.program_[split].other = here();
            }
        }
        for (const std::uint32_t end : ends) {
            out_.program_[end].to = here();
        }
    }

    void emit_repeat(const Node& node) {
        const Node& body = node.children.front();
        for (int i = 0; i < node.min; ++i) {
            emit(body);
        }
        if (node.max < 0) {
            const std::uint32_t split = add(Regex::Op::split, 0, here() + 1);
            emit(body);
            add(Regex::Op::jump, 0, split);
            out_.program_[split].other = here();
            return;
        }
        std::vector<std::uint32_t> splits;
        for (int i = node.min; i < node.max; ++i) {
            splits.push_back(add(Regex::Op::split, 0, here() + 1));
            emit(body);
        }
        for (const std::uint32_t split : splits) {
            out_.program_[split].other = here();
        }
    }

    std::string_view rest_;
    Regex out_;
};

std::expected<Regex, Regex::Refusal> Regex::compile(std::string_view expression) {
    return RegexCompiler(expression).run();
}

/// The instructions that all alternatives followed at once have come to.
class Regex::Threads {
  public:
    explicit Threads(const Regex& regex) : regex_(regex), seen_(regex.program_.size(), 0) {}

    void clear() {
        waiting_.clear();
        ++round_;
    }
    [[nodiscard]] const std::vector<std::uint32_t>& waiting() const { return waiting_; }
    [[nodiscard]] bool matched() const { return matched_; }

    void add(std::uint32_t start, bool begin, bool end) {
        stack_.assign(1, start);
        while (!stack_.empty() && !matched_) {
            const std::uint32_t index = stack_.back();
            stack_.pop_back();
            if (std::exchange(seen_[index], round_) == round_) {
                continue;
            }
            const Instruction& instruction = regex_.program_[index];
            switch (instruction.op) {
            case Op::match: matched_ = true; break;
            case Op::jump: stack_.push_back(instruction.to); break;
            case Op::split:
                stack_.push_back(instruction.other);
                stack_.push_back(instruction.to);
                break;
            case Op::begin:
            case Op::end:
                if (instruction.op == Op::begin ? begin : end) {
                    stack_.push_back(index + 1);
                }
                break;
            default: waiting_.push_back(index);
            }
        }
    }

  private:
    const Regex& regex_;
    std::vector<std::uint32_t> waiting_;
    std::vector<std::uint32_t> stack_;
    std::vector<std::uint32_t> seen_; ///< round in which each instruction was last added
    std::uint32_t round_ = 1;
    bool matched_ = false;
};

bool Regex::matches(std::string_view text, std::uint64_t& work) const {
    Threads one(*this);
    Threads two(*this);
    Threads* now = &one;
    Threads* next = &two;
    now->add(0, true, text.empty());
    work += program_.size();
    while (!now->matched() && !text.empty() && !(anchored_ && now->waiting().empty())) {
        const Rune rune = decode_rune(text);
        text.remove_prefix(rune.length);
        next->clear();
        work += 1 + now->waiting().size();
        for (const std::uint32_t index : now->waiting()) {
            const Instruction& instruction = program_[index];
            bool takes = false;
            if (instruction.op == Op::rune) {
                takes = instruction.rune == rune.value;
            } else if (instruction.op == Op::any_but_line_feed) {
                takes = rune.value != '\n';
            } else {
                const Set& set = sets_[instruction.to];
                takes = set.negated != std::ranges::any_of(set.ranges, [&](const auto& range) {
                            return range.first <= rune.value && rune.value <= range.second;
                        });
            }
            if (takes) {
                next->add(index + 1, false, text.empty());
            }
        }
        if (!anchored_) {
            next->add(0, false, text.empty());
        }
        std::swap(now, next);
    }
    return now->matched();
}

} // namespace slipway::context
