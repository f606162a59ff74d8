#include "lint/shell.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace slipway::lint {

namespace {

constexpr std::size_t most_words = 1000;
constexpr std::size_t most_depth = 200;

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) noexcept {
    return std::ranges::contains(words, word);
}

bool is_assignment(std::string_view word) noexcept {
    const std::size_t equals = word.find('=');
    if (equals == 0 || equals == std::string_view::npos || (word[0] >= '0' && word[0] <= '9')) {
        return false;
    }
    return std::ranges::all_of(word.substr(0, equals), [](char c) {
        return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
}

/// Takes sudo, env, exec and their like off the front, with their options.
void unwrap(ShellCommand& command) {
    struct Wrapper {
        std::string_view name;
        std::string_view valued;  ///< short options that take the next word
        std::size_t operands = 0; ///< words before the command proper
    };
    static constexpr std::array<Wrapper, 12> wrappers{{{"sudo", "ugprtChD"},
                                                       {"doas", "uC"},
                                                       {"env", "uCS"},
                                                       {"exec", "a"},
                                                       {"command", ""},
                                                       {"builtin", ""},
                                                       {"nohup", ""},
                                                       {"nice", "n"},
                                                       {"ionice", "cn"},
                                                       {"timeout", "ks", 1},
                                                       {"xargs", "nIPLsEad"},
                                                       {"eatmydata", ""}}};
    std::size_t at = 0;
    auto& words = command.words;
    while (at < words.size()) {
        const auto* wrapper = std::ranges::find(wrappers, std::string_view(words[at].text), &Wrapper::name);
        if (wrapper == wrappers.end()) {
            break;
        }
        std::size_t next = at + 1;
        while (next < words.size()) {
            const std::string& word = words[next].text;
            if (word == "-v" || word == "-V" || word == "--version" || word == "--help") {
                return; // `command -v NAME` asks, it does not run
            }
            if (word.size() == 2 && word[0] == '-' && wrapper->valued.contains(word[1])) {
                next += 2;
            } else if ((word.size() > 1 && word[0] == '-') || is_assignment(word)) {
                ++next;
            } else {
                break;
            }
        }
        at = next + wrapper->operands;
    }
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(std::min(at, words.size())));
}

class Scanner {
  public:
    Scanner(std::string_view script, const std::function<void(const ShellCommand&)>& on_command)
        : text_(script), on_command_(on_command) {
        frames_.emplace_back();
    }

    void run() {
        while (at_ < text_.size()) {
            step();
        }
        while (frames_.size() > 1) {
            pop();
        }
        end_list();
    }

  private:
    enum class Pending { none, ignored, written, heredoc, heredoc_tabs };

    /// One level of `(`, `$(`, `{` or backquotes.
    struct Frame {
        char closer = '\0';
        char quote = '\0';
        ShellCommand command;
        ShellWord word;
        bool in_word = false;
        std::size_t plain = 0; ///< bytes of the word before its first quote
        bool condition = false;
        Pending pending = Pending::none;
        int cases = 0;                  ///< `case` still open
        bool pattern = false;           ///< within a pattern of one
        bool name_wanted = false;       ///< behind `for`: words until `do`
        std::vector<ShellCommand> list; ///< of the and-or list so far
    };
    struct Heredoc {
        std::string delimiter;
        bool tabs = false;
    };

    [[nodiscard]] Frame& top() { return frames_.back(); }
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }

    void put(char c) {
        begin_word();
        top().word.text += c;
    }
    void begin_word() {
        Frame& frame = top();
        if (!frame.in_word) {
            frame.in_word = true;
            frame.plain = std::string::npos;
            frame.word = {.text = {}, .offset = at_};
        }
    }

    void quoted() {
        Frame& frame = top();
        frame.plain = std::min(frame.plain, frame.word.text.size());
    }

    void push(char closer, std::size_t skip) {
        at_ += skip;
        if (frames_.size() < most_depth) {
            frames_.emplace_back().closer = closer;
        }
    }
    void pop() {
        end_list();
        frames_.pop_back();
    }

    void step() {
        const char c = text_[at_];
        if (c == '$' || c == '`') {
            return substitution(c);
        }
        if (c == '\\') {
            ++at_;
            if (at_ < text_.size() && text_[at_] != '\n') {
                put(text_[at_]);
            }
            ++at_;
            return;
        }
        if (top().quote == '"') {
            if (c == '"') {
                top().quote = '\0';
            } else {
                top().word.text += c;
            }
            ++at_;
            return;
        }
        plain(c);
    }

    void plain(char c) {
        switch (c) {
        case '"':
            begin_word();
            quoted();
            top().quote = '"';
            ++at_;
            return;
        case '\'': return single_quoted();
        case '#':
            if (top().in_word) {
                break;
            }
            at_ = std::min(text_.find('\n', at_), text_.size());
            return;
        case ' ':
        case '\t':
        case '\r':
        case '\v':
        case '\f':
            end_word();
            ++at_;
            return;
        case '\n':
            end_list();
            ++at_;
            return skip_heredocs();
        case ';':
        case '&':
        case '|': return separator(c);
        case '(': return open();
        case ')': return close();
        case '<':
        case '>': return redirection(c);
        default: break;
        }
        put(c);
        ++at_;
    }

    void single_quoted() {
        begin_word();
        quoted();
        const std::size_t end = std::min(text_.find('\'', at_ + 1), text_.size());
        top().word.text += text_.substr(at_ + 1, end - at_ - 1);
        at_ = std::min(end + 1, text_.size());
    }

    void substitution(char c) {
        if (c == '`') {
            if (top().closer == '`' && top().quote == '\0') {
                pop();
                ++at_;
                return;
            }
            put('$');
            return push('`', 1);
        }
        const char next = peek(1);
        put('$');
        if (next == '(' && peek(2) == '(') {
            at_ += 1;
            return skip_balanced('(', ')');
        }
        if (next == '(') {
            return push(')', 2);
        }
        if (next == '{') {
            at_ += 1;
            return skip_balanced('{', '}');
        }
        if (next == '\'' && top().quote == '\0') { // $'…'
            for (at_ += 2; at_ < text_.size() && text_[at_] != '\''; ++at_) {
                at_ += text_[at_] == '\\' ? 1U : 0U;
            }
            at_ = std::min(at_ + 1, text_.size());
            return;
        }
        ++at_;
    }

    /// From the opening bracket at `at_` past the one that closes it.
    void skip_balanced(char opening, char closing) {
        std::size_t depth = 0;
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '\\') {
                ++at_;
            } else if (c == opening) {
                ++depth;
            } else if (c == closing && --depth == 0) {
                ++at_;
                return;
            }
        }
        at_ = text_.size();
    }

    void separator(char c) {
        const char next = peek(1);
        if (c == '&' && next == '>') { // &> and &>>: both streams into a file
            ++at_;
            return redirection('>');
        }
        end_word();
        if (c == '|' && top().pattern) {
            top().command = {};
            ++at_;
            return;
        }
        end_command();
        if (c == '|' && next == '|') {
            for (ShellCommand& command : top().list) {
                command.tolerated = true;
            }
            at_ += 2;
            return;
        }
        if (c == '&' && next == '&') {
            at_ += 2;
            return;
        }
        if (c == '|') {
            at_ += next == '&' ? 2U : 1U;
            return;
        }
        end_list();
        if (c == ';' && (next == ';' || next == '&')) {
            ++at_;
            top().pattern = top().cases > 0;
        }
        ++at_;
    }

    void open() {
        Frame& frame = top();
        if (frame.pattern) {
            ++at_;
            return;
        }
        if (frame.in_word && frame.word.text.ends_with('=')) { // an array
            return skip_balanced('(', ')');
        }
        if (!frame.in_word && frame.command.words.empty() && peek(1) == '(') { // ((…))
            return skip_balanced('(', ')');
        }
        const std::size_t after = text_.find_first_not_of(" \t", at_ + 1);
        end_word();
        if (top().command.words.size() == 1 && after != std::string_view::npos && text_[after] == ')') {
            top().command = {}; // a function's head
            at_ = after + 1;
            return;
        }
        push(')', 1);
    }

    void close() {
        end_word();
        Frame& frame = top();
        ++at_;
        if (frame.pattern) {
            frame.pattern = false;
            frame.command = {};
        } else if (frame.closer == ')') {
            pop();
        } else {
            end_list();
        }
    }

    void redirection(char c) {
        Frame& frame = top();
        // The digits right before name a descriptor.
        if (frame.in_word && frame.plain == std::string::npos &&
            frame.word.text.find_first_not_of("0123456789") == std::string::npos) {
            frame.in_word = false;
        }
        end_word();
        if (c == '<' && peek(1) == '<' && peek(2) != '<') {
            top().pending = peek(2) == '-' ? Pending::heredoc_tabs : Pending::heredoc;
            at_ += peek(2) == '-' ? 3U : 2U;
            return;
        }
        if (peek(1) == '(') { // <(…) and >(…)
            return push(')', 2);
        }
        ++at_;
        while (peek() == c || peek() == '|') {
            ++at_;
        }
        if (peek() == '&' && ((peek(1) >= '0' && peek(1) <= '9') || peek(1) == '-')) { // 2>&1
            at_ += 2;
            return;
        }
        at_ += peek() == '&' ? 1U : 0U;
        top().pending = c == '>' ? Pending::written : Pending::ignored;
    }

    void end_word() {
        Frame& frame = top();
        if (!frame.in_word) {
            return;
        }
        frame.in_word = false;
        ShellWord word = std::exchange(frame.word, {});
        switch (std::exchange(frame.pending, Pending::none)) {
        case Pending::none: break;
        case Pending::ignored: return;
        case Pending::written:
            if (frame.command.written.size() < most_words) {
                frame.command.written.push_back(std::move(word));
            }
            return;
        case Pending::heredoc: heredocs_.push_back({.delimiter = word.text, .tabs = false}); return;
        case Pending::heredoc_tabs: heredocs_.push_back({.delimiter = word.text, .tabs = true}); return;
        }
        // Quoted it is no keyword, but still an assignment if its name is not.
        const std::string_view plain = std::string_view(word.text).substr(0, frame.plain);
        const bool special = plain.size() == word.text.size()
                                 ? keyword(frame, plain)
                                 : frame.pattern || (frame.command.words.empty() && is_assignment(plain));
        if (!special) {
            if (frame.command.words.size() < most_words) {
                frame.command.words.push_back(std::move(word));
            }
        }
    }

    /// Whether the word is no part of a command: a keyword, an assignment, a pattern.
    static bool keyword(Frame& frame, std::string_view word) {
        static constexpr std::array<std::string_view, 4> conditions{"if", "elif", "while", "until"};
        static constexpr std::array<std::string_view, 10> plain{"then", "else", "do",   "{",        "}",
                                                                "fi",   "done", "time", "function", "!"};
        if (frame.pattern) {
            if (word == "esac") {
                frame.pattern = false;
                frame.cases = std::max(0, frame.cases - 1);
            }
            return true;
        }
        auto& words = frame.command.words;
        if (!words.empty()) {
            if (word == "in" && words.front().text == "case") {
                frame.command = {};
                ++frame.cases;
                frame.pattern = true;
                return true;
            }
            return false;
        }
        if (one_of(word, conditions) || word == "!") {
            frame.condition = true;
            return true;
        }
        if (one_of(word, plain)) {
            frame.condition = frame.condition && (word == "{" || word == "time");
            return true;
        }
        if (word == "esac") {
            frame.cases = std::max(0, frame.cases - 1);
            return true;
        }
        return is_assignment(word);
    }

    void end_command() {
        end_word();
        Frame& frame = top();
        ShellCommand command = std::exchange(frame.command, {});
        command.tolerated = frame.condition;
        unwrap(command);
        if (!command.words.empty() || !command.written.empty()) {
            frame.list.push_back(std::move(command));
        }
    }

    void end_list() {
        end_command();
        Frame& frame = top();
        for (const ShellCommand& command : std::exchange(frame.list, {})) {
            on_command_(command);
        }
        frame.condition = false;
        frame.pending = Pending::none;
        frame.quote = '\0';
    }

    /// Bodies of here-documents begin behind the line that names them.
    void skip_heredocs() {
        for (const Heredoc& heredoc : std::exchange(heredocs_, {})) {
            while (at_ < text_.size()) {
                const std::size_t end = std::min(text_.find('\n', at_), text_.size());
                std::string_view line = text_.substr(at_, end - at_);
                at_ = std::min(end + 1, text_.size());
                while (heredoc.tabs && line.starts_with('\t')) {
                    line.remove_prefix(1);
                }
                if (line == heredoc.delimiter) {
                    break;
                }
            }
        }
    }

    std::string_view text_;
    const std::function<void(const ShellCommand&)>& on_command_;
    std::size_t at_ = 0;
    std::vector<Frame> frames_;
    std::vector<Heredoc> heredocs_;
};

} // namespace

std::string_view ShellCommand::program() const noexcept {
    if (words.empty()) {
        return {};
    }
    const std::string_view name = words.front().text;
    return name.substr(name.rfind('/') + 1);
}

bool ShellCommand::has(std::string_view argument) const noexcept {
    return std::ranges::any_of(
        words, [&](const ShellWord& word) { return &word != &words.front() && word.text == argument; });
}

const ShellWord* ShellCommand::operand() const noexcept {
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (!words[i].text.starts_with('-')) {
            return &words[i];
        }
    }
    return nullptr;
}

void scan_shell(std::string_view script, const std::function<void(const ShellCommand&)>& on_command) {
    Scanner(script, on_command).run();
}

} // namespace slipway::lint
