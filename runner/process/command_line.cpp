// Finding programs, and showing command lines and endings.
#include "base/encoding.hpp"
#include "process/process.hpp"
#include "process/spawn.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <format>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::process {

namespace {

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_@%+=:,./-").contains(c);
}

/// C0 and C1 controls, DEL, and what would reorder or hide text on a terminal can not be shown as they are.
bool is_showable(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
        const auto third = static_cast<unsigned char>(i + 2 < text.size() ? text[i + 2] : '\0');
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next < 0xA0)) {
            return false;
        }
        // U+200B..U+200F, U+2028..U+202E, U+2066..U+2069: invisible, line breaking, or direction changing
        if (byte == 0xE2 &&
            ((next == 0x80 && ((third >= 0x8B && third <= 0x8F) || (third >= 0xA8 && third <= 0xAE))) ||
             (next == 0x81 && third >= 0xA6 && third <= 0xA9))) {
            return false;
        }
    }
    return to_valid_utf8(text) == text;
}

std::string escaped(std::string_view text) {
    std::string out = "$'";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\'' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte >= 0x7F) {
            out += std::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out + "'";
}

} // namespace

std::string quote(const std::vector<std::string>& argv) {
    std::string line;
    for (const std::string& argument : argv) {
        line += line.empty() ? "" : " ";
        bool plain = !argument.empty();
        for (const char c : argument) {
            plain = plain && is_plain(c);
        }
        if (plain) {
            line += argument;
        } else if (!is_showable(argument)) {
            line += escaped(argument);
        } else {
            line += '\'';
            for (const char c : argument) {
                line += c == '\'' ? std::string_view("'\\''") : std::string_view(&c, 1);
            }
            line += '\'';
        }
    }
    return line;
}

std::string to_string(const Exit& exit) {
    if (exit.kind == Exit::Kind::exited) {
        return std::format("ended with status {}", exit.code);
    }
    const char* name = ::sigabbrev_np(exit.signal);
    return std::format("was killed by {}{}",
                       name != nullptr ? std::string("SIG") + name : std::format("signal {}", exit.signal),
                       exit.core ? " (core written)" : "");
}

Result<std::filesystem::path> find_program(std::string_view name, std::string_view path) {
    if (name.empty()) {
        return fail(ErrorClass::internal, code::internal_error, "no program was named");
    }
    if (name.contains('/')) {
        return std::filesystem::path(name);
    }
    int err = ENOENT;
    while (!path.empty()) {
        const std::string_view directory = path.substr(0, path.find(':'));
        path.remove_prefix(std::min(directory.size() + 1, path.size()));
        if (!directory.starts_with('/')) {
            continue;
        }
        std::filesystem::path candidate = std::filesystem::path(directory) / name;
        struct stat info{};
        if (::stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
            continue;
        }
        if (::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
        err = EACCES;
    }
    return fail(exec_error(name, err));
}

} // namespace slipway::process
