// Whether a recorded stream keeps the rules of docs/frames.md (protocol 1).
//
// In: lines, in order. Out: a report with every violation and its line number. A violation is never an Error:
// Errors are for a stream that cannot be read at all. Not checked: the rate of progress frames and the log
// budget, which depend on options the stream does not carry.
#pragma once

#include "base/result.hpp"
#include "frames/reader.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames {

struct Violation {
    std::uint64_t line = 0; ///< 1-based; the last line + 1 for what is missing at the end
    std::string rule;       ///< stable word: json, prefix, size, utf8, seq, time, step, kind, member, phase,
                            ///< command, more, end, protocol, incomplete
    std::string message;    ///< one line, harmless on a terminal
};

struct CheckReport {
    std::uint64_t frames = 0;          ///< lines that begin as a frame does
    std::uint64_t foreign = 0;         ///< all other lines that are not empty
    std::uint64_t steps = 0;           ///< `hello`s
    bool complete = false;             ///< at least one step, and every step has its `end`
    std::string status;                ///< of the last `end`: succeeded, failed, cancelled; empty without one
    std::vector<Violation> violations; ///< the first `Checker::violations_kept`
    std::uint64_t violation_count = 0; ///< of all

    [[nodiscard]] bool ok() const noexcept { return violation_count == 0; }
};

class Checker {
  public:
    static constexpr std::size_t violations_kept = 1000;

    Checker();
    ~Checker();
    Checker(Checker&&) noexcept;
    Checker& operator=(Checker&&) noexcept;
    Checker(const Checker&) = delete;
    Checker& operator=(const Checker&) = delete;

    /// The next line without its newline. `cut`: bytes of it that were not kept; `terminated`: a newline
    /// followed.
    void consume(std::string_view line, std::uint64_t cut = 0, bool terminated = true);

    /// To be called once, after the last line.
    [[nodiscard]] CheckReport finish();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Reads `stream` to its end. A damaged zstd stream is reported as a violation of rule `incomplete`.
CheckReport check_stream(StreamReader& stream);

} // namespace slipway::frames
