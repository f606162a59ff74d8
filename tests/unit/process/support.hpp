// What the tests of this room share: commands for real children, and a recorder of their lines.
#pragma once

#include "process/process.hpp"

#include <string>
#include <vector>

namespace slipway::process::test {

inline Command command(std::vector<std::string> argv) {
    return {.argv = std::move(argv), .environment = {"PATH=/usr/local/bin:/usr/bin:/bin"}};
}

inline Command sh(std::string script) {
    return command({"sh", "-c", std::move(script)});
}

inline Command python(std::string script) {
    return command({"python3", "-c", std::move(script)});
}

/// A Line that outlives its callback.
struct Kept {
    Stream stream;
    std::string text;
    LineEnd end;
    bool from_main;
    bool writer_known;
};

struct Recorder {
    std::vector<Kept> lines;
    OnLine on_line = [this](const Line& line) {
        lines.push_back({line.stream, std::string(line.text), line.end, line.from_main, line.writer_known});
    };

    Recorder() = default;
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    [[nodiscard]] std::vector<std::string> texts() const {
        std::vector<std::string> all;
        for (const Kept& line : lines) {
            all.push_back(line.text);
        }
        return all;
    }
};

/// Whether process `pid` exists and is more than a zombie.
bool is_alive(pid_t pid);

} // namespace slipway::process::test
