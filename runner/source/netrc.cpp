#include "source/netrc.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace slipway::source {
namespace {

constexpr std::size_t most_entries = 1024;
constexpr std::string_view blank = " \t\r\n";

class Tokens {
  public:
    explicit Tokens(std::string_view text) : text_(text) {}

    std::optional<std::string> next() {
        for (;;) {
            text_.remove_prefix(std::min(text_.find_first_not_of(blank), text_.size()));
            if (text_.empty()) {
                return std::nullopt;
            }
            if (text_.front() != '#') {
                return text_.front() == '"' ? quoted() : plain();
            }
            text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
        }
    }

    /// A macro goes on to the next empty line.
    void skip_macro() {
        const std::size_t end = std::min(text_.find("\n\n"), text_.find("\n\r\n"));
        text_.remove_prefix(std::min(end, text_.size()));
    }

  private:
    std::string plain() {
        const std::size_t end = std::min(text_.find_first_of(blank), text_.size());
        std::string token(text_.substr(0, end));
        text_.remove_prefix(end);
        return token;
    }

    std::string quoted() {
        std::string token;
        std::size_t i = 1;
        for (; i < text_.size() && text_[i] != '"'; ++i) {
            if (text_[i] == '\\' && i + 1 < text_.size()) {
                ++i;
            }
            token += text_[i];
        }
        text_.remove_prefix(std::min(i + 1, text_.size()));
        return token;
    }

    std::string_view text_;
};

std::string lower(std::string text) {
    for (char& c : text) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return text;
}

} // namespace

std::vector<CredentialEntry> parse_netrc(std::string_view text) {
    std::vector<CredentialEntry> entries;
    Tokens tokens(text);
    bool in_default = false;
    while (const std::optional<std::string> token = tokens.next()) {
        if (*token == "machine" || *token == "default") {
            if (in_default || entries.size() >= most_entries) {
                break;
            }
            CredentialEntry entry;
            entry.any_port = true;
            entry.basic.emplace();
            in_default = *token == "default";
            if (!in_default) {
                entry.host = lower(tokens.next().value_or(""));
                if (entry.host.empty()) {
                    break; // only `default` has none
                }
            }
            entries.push_back(std::move(entry));
        } else if (*token == "macdef") {
            tokens.skip_macro();
        } else if (*token == "login" && !entries.empty()) {
            entries.back().basic->username = tokens.next().value_or("");
        } else if (*token == "password" && !entries.empty()) {
            entries.back().basic->password = tokens.next().value_or("");
        } else if (*token == "account") {
            tokens.next();
        }
    }
    std::erase_if(entries, [](const CredentialEntry& entry) { return entry.basic->password.empty(); });
    return entries;
}

} // namespace slipway::source
