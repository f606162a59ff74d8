#include "cli/buildah_args.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <optional>

namespace slipway::cli {

namespace {

enum class Takes { nothing, flag, value };

struct Known {
    std::string_view name;
    Takes takes = Takes::value;
    std::string_view ours;            ///< empty: nothing has to be done for it
    std::string_view only_value = {}; ///< the one value that asks for what is so anyway
};

constexpr std::array<Known, 32> known{{
    {.name = "--annotation", .ours = "annotation"},
    {.name = "--build-arg", .ours = "build-arg"},
    {.name = "--build-arg-file", .ours = "build-args-file"},
    {.name = "--build-context", .ours = "build-context"},
    {.name = "--cache-from", .ours = "cache-from"},
    {.name = "--cache-to", .ours = "cache-to"},
    {.name = "--cache-ttl", .ours = "cache-ttl"},
    {.name = "--format", .ours = "format"},
    {.name = "--isolation", .ours = "isolation"},
    {.name = "--label", .ours = "label"},
    {.name = "--network", .ours = "network"},
    {.name = "--platform", .ours = "platform"},
    {.name = "--retry", .ours = "retries"},
    {.name = "--secret", .ours = "secret"},
    {.name = "--squash", .takes = Takes::flag, .ours = "squash"},
    {.name = "--ssh", .ours = "ssh"},
    {.name = "--storage-driver", .ours = "storage"},
    {.name = "--target", .ours = "target"},
    {.name = "--timestamp", .ours = "timestamp"},
    {.name = "--tls-verify", .takes = Takes::flag, .ours = "tls-verify"},
    // Always so, or without meaning where one image is built once, in storage of its own.
    {.name = "--compress", .takes = Takes::nothing, .ours = {}},
    {.name = "--force-rm", .takes = Takes::flag, .ours = {}},
    {.name = "--jobs", .ours = {}},
    {.name = "--layers", .takes = Takes::flag, .ours = {}},
    {.name = "--no-cache", .takes = Takes::flag, .ours = {}},
    {.name = "--pull", .takes = Takes::flag, .ours = {}},
    {.name = "--pull-always", .takes = Takes::nothing, .ours = {}},
    {.name = "--quiet", .takes = Takes::flag, .ours = {}},
    {.name = "--retry-delay", .ours = {}},
    {.name = "--rm", .takes = Takes::flag, .ours = {}},
    {.name = "--skip-unused-stages", .takes = Takes::flag, .ours = {}, .only_value = "true"},
    {.name = "-q", .takes = Takes::nothing, .ours = {}},
}};

std::unexpected<Error> refuse(std::string message, std::string hint) {
    return fail_usage("--buildah-args: " + std::move(message), std::move(hint));
}

/// Text, as far as a shell sees nothing else in it.
class Words {
  public:
    explicit Words(std::string_view text) : text_(text) {}

    Result<std::vector<std::string>> split() {
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (blank(c)) {
                finish();
            } else if (c == '\'' || c == '"') {
                TRY(quoted(c));
            } else if (c == '\\') {
                TRY(escaped());
            } else if (special.contains(c) || c == '$' || c == '`') {
                return unwanted(c);
            } else {
                put(c);
            }
        }
        finish();
        return std::move(words_);
    }

  private:
    static constexpr std::string_view special = ";|&<>()";

    static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
    static std::unexpected<Error> unwanted(char c) {
        return refuse(std::format("'{}' would be more than text to a shell, and no shell reads this", c),
                      "put it in single quotes, or use a parameter of its own");
    }
    void put(char c) {
        if (!word_) {
            word_.emplace();
        }
        *word_ += c;
    }
    void finish() {
        if (word_) {
            words_.push_back(std::move(*word_));
            word_.reset();
        }
    }
    Status escaped() {
        if (at_ == text_.size()) {
            return refuse("a backslash at the end", "leave it out");
        }
        put(text_[at_++]);
        return {};
    }
    Status quoted(char quote) {
        if (!word_) {
            word_.emplace();
        }
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == quote) {
                return {};
            }
            if (quote == '"' && (c == '$' || c == '`')) {
                return unwanted(c);
            }
            constexpr std::string_view after_backslash = "\"\\$`";
            if (quote == '"' && c == '\\' && at_ < text_.size() && after_backslash.contains(text_[at_])) {
                put(text_[at_++]);
            } else {
                put(c);
            }
        }
        return refuse(std::format("no end of the text that begins with {}", quote), "close the quotes");
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::string> word_;
    std::vector<std::string> words_;
};

} // namespace

Result<std::vector<std::string>> translate_buildah_args(std::string_view text) {
    TRY_ASSIGN(const auto words, Words(text).split());
    std::vector<std::string> ours;
    for (auto word = words.begin(); word != words.end(); ++word) {
        const std::string name = word->substr(0, word->find('='));
        const auto* option = std::ranges::find(known, name, &Known::name);
        if (option == known.end()) {
            return refuse(std::format("'{}' is not among the options of buildah that are taken", name),
                          "use a parameter of slipway for it, or leave it out (docs/tekton.md lists them)");
        }
        std::string value = option->takes == Takes::flag ? "true" : "";
        if (name.size() < word->size()) {
            value = word->substr(name.size() + 1);
        } else if (option->takes == Takes::value) {
            if (++word == words.end()) {
                return refuse(name + " has no value", "write it like " + name + "=VALUE");
            }
            value = *word;
        }
        if (!option->only_value.empty() && value != option->only_value) {
            return refuse(std::format("{}={} is not possible here", name, value),
                          std::format("only {} is", option->only_value));
        }
        if (!option->ours.empty()) {
            ours.push_back(std::format("--{}={}", option->ours, value));
        }
    }
    return ours;
}

} // namespace slipway::cli
