#include "frames/check.hpp"

#include "base/encoding.hpp"
#include "frames/check_rules.hpp"
#include "frames/frame.hpp"
#include "frames/terminal_text.hpp"

#include <algorithm>
#include <format>
#include <map>
#include <set>
#include <utility>

namespace slipway::frames {

namespace {

using Type = ReadValue::Type;

/// Foreign words inside our own sentences: harmless and short.
std::string in_quotes(std::string_view text) {
    return "'" + shortened(harmless(text, false), 40, "...") + "'";
}

std::size_t phase_order(std::string_view name) {
    std::size_t order = 0;
    std::string_view words = phase_names;
    while (!words.starts_with(name) && words.find(' ') != std::string_view::npos) {
        words.remove_prefix(words.find(' ') + 1);
        ++order;
    }
    return order;
}

} // namespace

struct Checker::Impl {
    /// What one step has said so far.
    struct Step {
        std::string name;
        std::uint64_t hello_line = 0;
        std::uint64_t next_seq = 1;
        std::optional<std::chrono::sys_time<std::chrono::milliseconds>> last_time;
        bool ended = false;
        std::map<std::int64_t, bool> commands;  ///< n → finished
        std::set<std::string> unfinished_lines; ///< streams whose last piece said `more`
        bool any_phase = false;
        bool in_tail = false;
    };

    void violation(std::string_view rule, std::string message) {
        ++report.violation_count;
        if (report.violations.size() < violations_kept) {
            report.violations.push_back(
                {.line = line_number, .rule = std::string(rule), .message = std::move(message)});
        }
    }

    void consume(std::string_view line, std::uint64_t cut, bool terminated) {
        ++line_number;
        if (!is_frame_line(line)) {
            report.foreign += line.empty() ? 0U : 1U;
            return;
        }
        ++report.frames;
        const std::uint64_t bytes = line.size() + cut + (terminated ? 1U : 0U);
        if (bytes > max_frame_bytes) {
            violation("size", std::format("{} bytes, a frame has at most {}", bytes, max_frame_bytes));
        }
        if (!terminated) {
            violation("size", "the frame is not followed by a newline");
        }
        if (cut != 0) {
            return; // what is left cannot be JSON
        }
        if (to_valid_utf8(line) != line) {
            violation("utf8", "not valid UTF-8");
            return;
        }
        const auto frame = parse_frame(line);
        if (!frame) {
            violation(frame.error().code == newer_protocol ? "protocol" : "json", frame.error().message);
            return;
        }
        check(*frame);
    }

    void check(const ReadFrame& frame) {
        check_envelope(frame);
        if (frame.kind == "hello") {
            begin(frame);
        }
        check_order(frame);
        if (frame.kind.empty()) {
            return;
        }
        const bool known =
            std::ranges::any_of(frame_rules(), [&](const Rule& rule) { return rule.kind == frame.kind; });
        if (!known) {
            return;
        }
        const ReadValue* payload = frame.payload();
        if (payload == nullptr || payload->type != Type::object) {
            violation("member", std::format("a frame of kind {0} has an object {0}", in_quotes(frame.kind)));
            return;
        }
        check_members(frame);
        if (frame.kind == "phase") {
            check_phase(frame);
        } else if (frame.kind == "command") {
            check_command(frame);
        } else if (frame.kind == "log") {
            check_pieces(frame);
        } else if (frame.kind == "end") {
            finish_step(frame);
        }
    }

    void check_envelope(const ReadFrame& frame) {
        const auto is_filled = [&](std::string_view name) {
            const ReadValue* value = frame.root.find(name);
            return value != nullptr && fits(Want::filled, *value);
        };
        for (const std::string_view name : {"step", "kind"}) {
            if (!is_filled(name)) {
                violation(name, std::format("`{}` is missing or no string", name));
            }
        }
        if (!frame.time) {
            violation("time", "`t` is missing or not RFC 3339 in UTC with milliseconds");
        }
        if (const ReadValue* seq = frame.root.find("seq"); seq == nullptr || !fits(Want::ordinal, *seq)) {
            violation("seq", "`seq` is missing or no integer of 1 or more");
        }
    }

    void begin(const ReadFrame& frame) {
        if (report.steps != 0 && !step.ended) {
            violation("end", std::format("a new hello, but step {} of line {} has no end",
                                         in_quotes(step.name), step.hello_line));
            every_step_ended = false;
        }
        ++report.steps;
        const std::string build =
            std::format("{}\n{}", frame.text("build_id"), frame.integer("attempt").value_or(0));
        if (build != current_build) {
            current_build = build;
            furthest_phase.clear();
        }
        step = Step{};
        step.name = frame.step;
        step.hello_line = line_number;
    }

    void check_order(const ReadFrame& frame) {
        if (report.steps == 0) {
            if (!before_hello_told) {
                violation("step", "a frame before the first hello");
                before_hello_told = true;
            }
            return;
        }
        if (step.ended) {
            violation("end", std::format("a frame after the end of step {}", in_quotes(step.name)));
        }
        if (frame.step != step.name) {
            violation("step",
                      std::format("step {} inside step {}", in_quotes(frame.step), in_quotes(step.name)));
        }
        if (frame.seq != 0) {
            if (frame.seq != step.next_seq) {
                violation("seq", std::format("seq {} where {} was due", frame.seq, step.next_seq));
            }
            step.next_seq = frame.seq + 1;
        }
        if (frame.time) {
            if (step.last_time && *frame.time < *step.last_time) {
                violation("time", std::format("{} ms earlier than the frame before",
                                              (*step.last_time - *frame.time).count()));
            }
            step.last_time = frame.time;
        }
    }

    void check_members(const ReadFrame& frame) {
        for (const Rule& rule : frame_rules()) {
            if (rule.kind != frame.kind) {
                continue;
            }
            const std::size_t dot = rule.name.find('.');
            if (dot != std::string_view::npos) {
                const ReadValue* parent = frame.find(rule.name.substr(0, dot));
                if (parent == nullptr || parent->type != Type::object) {
                    continue;
                }
            }
            const ReadValue* value = frame.find(rule.name);
            if (value == nullptr) {
                if (rule.required) {
                    violation("member", std::format("`{}.{}` is missing", rule.kind, rule.name));
                }
            } else if (!fits(rule.want, *value)) {
                violation("member", std::format("`{}.{}` must be {}, is {}", rule.kind, rule.name,
                                                describe(rule.want), to_string(value->type)));
            } else if (!rule.words.empty() && !listed(rule.words, value->string)) {
                violation("member", std::format("`{}.{}` is {}, which the protocol does not know", rule.kind,
                                                rule.name, in_quotes(value->string)));
            }
        }
        if (const ReadValue* cut = frame.find("truncated"); cut != nullptr && !fits(Want::ordinal, *cut)) {
            violation("member",
                      std::format("`{}.truncated` must be {}", frame.kind, describe(Want::ordinal)));
        }
    }

    void check_phase(const ReadFrame& frame) {
        const std::string_view name = frame.text("name");
        if (!listed(phase_names, name)) {
            return;
        }
        if (!furthest_phase.empty() && phase_order(name) < phase_order(furthest_phase)) {
            violation("phase", std::format("phase {} after {}", in_quotes(name), in_quotes(furthest_phase)));
        } else if (furthest_phase == "complete" && name == "error") {
            violation("phase", "phase 'error' after 'complete'");
        } else if (furthest_phase == name && step.any_phase) {
            // Steps in containers of their own cannot know what another has said; one step can.
            violation("phase", std::format("phase {} twice", in_quotes(name)));
        } else {
            furthest_phase = name;
        }
        step.any_phase = true;
    }

    void check_command(const ReadFrame& frame) {
        const std::int64_t n = frame.integer("n").value_or(0);
        const std::int64_t of = frame.integer("of").value_or(0);
        const std::string_view state = frame.text("state");
        if (n < 1 || of < 1) {
            return;
        }
        if (n > of) {
            violation("command", std::format("command {} of {}", n, of));
        }
        const auto known = step.commands.find(n);
        if (state == "started") {
            if (known != step.commands.end()) {
                violation("command", std::format("command {} started twice", n));
            } else {
                step.commands.emplace(n, false);
            }
        } else if (state == "cached" || state == "done" || state == "failed") {
            if (known == step.commands.end()) {
                violation("command", std::format("command {} is {} but never started", n, state));
                step.commands.emplace(n, true);
            } else if (known->second) {
                violation("command", std::format("command {} finished twice", n));
            }
            step.commands[n] = true;
        }
    }

    void check_pieces(const ReadFrame& frame) {
        // What was left out may have been the rest of any line, and the tail repeats from anywhere.
        if (frame.integer("dropped").value_or(0) > 0 || frame.flag("tail") != step.in_tail) {
            step.unfinished_lines.clear();
            step.in_tail = frame.flag("tail");
        }
        const std::string stream(frame.text("stream"));
        if (!frame.flag("more")) {
            step.unfinished_lines.erase(stream);
        } else if (step.unfinished_lines.size() < 8) { // only `out` and `err` are right
            step.unfinished_lines.insert(stream);
        }
    }

    void finish_step(const ReadFrame& frame) {
        report.status = frame.text("status");
        for (const std::string& stream : step.unfinished_lines) {
            violation("more",
                      std::format("the last piece of a log line of stream {} is missing", in_quotes(stream)));
        }
        if (report.status == "succeeded") {
            for (const auto& [n, finished] : step.commands) {
                if (!finished) {
                    violation("command", std::format("command {} has no outcome, but the step succeeded", n));
                }
            }
            if (frame.integer("exit").value_or(0) != 0) {
                violation("end", std::format("succeeded with exit {}", *frame.integer("exit")));
            }
        } else if (frame.integer("exit") == 0) {
            violation("end", std::format("{} with exit 0", in_quotes(report.status)));
        }
        if (const auto frames = frame.integer("totals.frames");
            frames && frame.seq != 0 && std::cmp_not_equal(*frames, frame.seq)) {
            violation("end", std::format("totals say {} frames, seq says {}", *frames, frame.seq));
        }
        step.ended = true;
    }

    CheckReport finish() {
        ++line_number;
        const bool last_ended = report.steps != 0 && step.ended;
        if (report.steps == 0) {
            violation("incomplete", report.frames == 0 ? "no frame at all" : "no hello");
        } else if (!last_ended) {
            violation("incomplete", std::format("step {} of line {} has no end: its outcome is unknown",
                                                in_quotes(step.name), step.hello_line));
            report.status.clear();
        }
        report.complete = last_ended && every_step_ended;
        return std::move(report);
    }

    CheckReport report;
    std::uint64_t line_number = 0;
    Step step;
    bool every_step_ended = true;
    bool before_hello_told = false;
    std::string current_build;
    std::string furthest_phase;
};

Checker::Checker() : impl_(std::make_unique<Impl>()) {}
Checker::~Checker() = default;
Checker::Checker(Checker&&) noexcept = default;
Checker& Checker::operator=(Checker&&) noexcept = default;

void Checker::consume(std::string_view line, std::uint64_t cut, bool terminated) {
    impl_->consume(line, cut, terminated);
}

CheckReport Checker::finish() {
    return impl_->finish();
}

CheckReport check_stream(StreamReader& stream) {
    Checker checker;
    while (true) {
        auto line = stream.next();
        if (!line) {
            CheckReport report = checker.finish();
            ++report.violation_count;
            report.complete = false;
            report.violations.push_back(
                {.line = report.violations.empty() ? 0 : report.violations.back().line,
                 .rule = "incomplete",
                 .message = line.error().message});
            return report;
        }
        if (!*line) {
            return checker.finish();
        }
        checker.consume((*line)->text, (*line)->cut, (*line)->terminated);
    }
}

} // namespace slipway::frames
