#include "base/file.hpp"
#include "context/ignore_file.hpp"
#include "context/sources.hpp"
#include "context/tree.hpp"
#include "dockerfile/text.hpp"
#include "steps/resolve_parts.hpp"

#include <algorithm>
#include <fcntl.h>
#include <format>
#include <optional>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;
using context::Finding;
using dockerfile::shown;

constexpr std::uint64_t large_context = std::uint64_t{1} << 30U;
constexpr std::size_t most_warnings = 20;

/// How sure it is that a source's variables have at build time the values they have now: the environment of
/// a base image, unknown here, wins over ARG.
enum class Certainty { unknown, likely, certain };

/// Names after `$` and `${`, also those inside of `${a:-$b}`.
std::vector<std::string_view> variables_of(std::string_view text) {
    std::vector<std::string_view> names;
    for (std::size_t at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
        const std::size_t begin = at + (text.substr(at).starts_with("${") ? 2 : 1);
        std::size_t end = begin;
        while (end < text.size() &&
               (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
            ++end;
        }
        names.push_back(text.substr(begin, end - begin));
    }
    return names;
}

class ContextCheck {
  public:
    ContextCheck(const SourceTree& tree, const dockerfile::Dockerfile& file,
                 const dockerfile::BuildPlan& parsed, handoff::Plan& plan, Warnings& warnings, Step& step)
        : tree_(tree), file_(file), parsed_(parsed), plan_(plan), warnings_(warnings), step_(step) {}

    Status run(bool list) {
        const auto begin = step_.clock.steady();
        const auto start = step_.clock.now();
        TRY_ASSIGN(const auto ignore, context::find_ignore_file(tree_.root_fd.get(), tree_.context_fd.get(),
                                                                tree_.context, file_.file));
        bool usable = true;
        if (ignore) {
            plan_.ignore_file = ignore->path;
            rules_ = context::IgnoreRules(ignore->content);
            TRY_ASSIGN(usable, can_use(*ignore));
        }
        if (usable) {
            TRY(count(list));
        }
        step_.stream.emit(
            frames::Timing{.what = "context",
                           .start = start,
                           .duration = std::chrono::duration_cast<Milliseconds>(step_.clock.steady() - begin),
                           .cpu = {},
                           .peak_memory = {},
                           .bytes = plan_.context_bytes});
        return usable ? look_for_sources() : Status();
    }

  private:
    /// False: its patterns say nothing certain to this program.
    Result<bool> can_use(const context::IgnoreFile& ignore) {
        if (ignore.too_large || rules_.unread()) {
            warnings_.add("contextunchecked",
                          ignore.too_large
                              ? std::format("{} is too large to be checked here", shown(ignore.path))
                              : std::format("{}:{}: the pattern \"{}\" cannot be checked here",
                                            shown(ignore.path), rules_.unread()->line,
                                            shown(rules_.unread()->pattern)),
                          "COPY and ADD were not checked against the context");
            return false;
        }
        if (!rules_.malformed()) {
            return true;
        }
        const auto& [line, pattern] = *rules_.malformed();
        Error error = make_error(ErrorClass::build, code::context_issue,
                                 std::format("{}:{}: buildah cannot read the pattern \"{}\"",
                                             shown(ignore.path), line, shown(pattern)),
                                 "buildah reads + ( ) { } | ^ and [ as regular expressions do: write \\ "
                                 "before one that is meant literally");
        error.where = Where{.file = ignore.path, .line = line, .column = 1, .quote = shown(pattern)};
        // The file is read when the first source is copied, and not before.
        const bool needed = std::ranges::any_of(parsed_.stages, [](const dockerfile::Stage& stage) {
            return std::ranges::any_of(stage.commands,
                                       [](const auto& command) { return !command.local_sources.empty(); });
        });
        if (needed) {
            return fail(std::move(error));
        }
        warnings_.add("ignorefile", error.message, error.hint);
        return false;
    }

    Status count(bool list) {
        const auto visit = [&](std::string_view path) {
            if (list) {
                step_.stream.emit(frames::Log{.stream = frames::Lane::out,
                                              .n = {},
                                              .text = std::string(path),
                                              .more = false,
                                              .dropped = 0,
                                              .tail = false});
            }
            return true;
        };
        TRY_ASSIGN(tally_, context::walk(tree_.context_fd.get(), "", rules_, step_.stop, visit));
        plan_.context_files = tally_.files;
        plan_.context_bytes = tally_.bytes;
        if (!tally_.complete) {
            warnings_.add("contextunchecked", "the context is too large to be counted to its end",
                          "exclude what the build does not need in .dockerignore");
        }
        if (tally_.unreadable > 0) {
            warnings_.add("contextunreadable",
                          std::format("{} directories of the context cannot be read", tally_.unreadable),
                          "a COPY of them would fail: change their permissions or exclude them");
        }
        if (tally_.others > 0) {
            warnings_.add("contextspecial",
                          std::format("the context holds {} pipes or devices", tally_.others),
                          "exclude them: hardly any image needs them");
        }
        return {};
    }

    Status look_for_sources() {
        std::error_code failed;
        const fs::path path = fs::canonical(tree_.root / tree_.context, failed);
        if (failed) {
            return {};
        }
        sources_.emplace(tree_.context_fd.get(), path.string(), rules_, step_.stop);
        for (const int index : parsed_.order) {
            const auto& stage = parsed_.stages[static_cast<std::size_t>(index)];
            for (const dockerfile::Command& command : stage.commands) {
                TRY(look_at(stage, command));
            }
        }
        warn_if_large();
        return first_error_ ? Status(fail(std::move(*first_error_))) : Status();
    }

    Status look_at(const dockerfile::Stage& stage, const dockerfile::Command& command) {
        if (command.local_sources.empty() && command.mounted_sources.empty()) {
            return {};
        }
        const auto place =
            std::ranges::find(file_.instructions, command.line, &dockerfile::Instruction::line);
        if (place == file_.instructions.end()) {
            return {};
        }
        const Certainty certainty = certainty_of(stage, command);
        if (certainty == Certainty::unknown) {
            return {};
        }
        const auto& instruction = command.from_onbuild ? place->nested.front() : *place;
        std::vector<std::string> excludes;
        for (const dockerfile::Flag& flag : instruction.flags) {
            if (flag.name == "exclude") {
                excludes.push_back(flag.value);
            }
        }
        std::vector<Finding> findings;
        if (!command.local_sources.empty()) {
            TRY_ASSIGN(findings, sources_->copied(command.local_sources, excludes));
            copies_all_ = copies_all_ || std::ranges::any_of(command.local_sources, [&](const auto& source) {
                              return sources_->place(source).empty();
                          });
        }
        for (const std::string& source : command.mounted_sources) {
            std::ranges::move(sources_->mounted(source), std::back_inserter(findings));
        }
        for (const Finding& finding : findings) {
            report(*place, command, finding, certainty);
        }
        return {};
    }

    /// A variable of the whole instruction counts: which source it stands in is not worth the trouble.
    [[nodiscard]] Certainty certainty_of(const dockerfile::Stage& stage,
                                         const dockerfile::Command& command) const {
        const auto names = variables_of(command.text);
        if (names.empty()) {
            return Certainty::certain;
        }
        if (command.from_onbuild) {
            return Certainty::unknown;
        }
        const dockerfile::Stage* bottom = &stage;
        while (bottom->base.kind == dockerfile::BaseKind::stage) {
            bottom = &parsed_.stages[static_cast<std::size_t>(bottom->base.stage)];
        }
        if (bottom->base.kind == dockerfile::BaseKind::scratch) {
            return Certainty::certain;
        }
        Certainty least = Certainty::certain;
        for (const std::string_view name : names) {
            least = std::min(least, certainty_of(stage, command.line, name));
        }
        return least;
    }

    [[nodiscard]] Certainty certainty_of(const dockerfile::Stage& stage, int line,
                                         std::string_view name) const {
        if (stage.base.kind == dockerfile::BaseKind::stage &&
            parsed_.stages[static_cast<std::size_t>(stage.base.stage)].env.contains(std::string(name))) {
            return Certainty::certain;
        }
        Certainty certainty = Certainty::unknown;
        const int first_from = parsed_.stages.front().line;
        bool has_default = plan_.build_args.contains(std::string(name));
        for (const dockerfile::Instruction& instruction : file_.instructions) {
            if (instruction.line >= line) {
                break;
            }
            const auto here = std::ranges::find(instruction.assignments, name, &dockerfile::Assignment::name);
            if (here == instruction.assignments.end()) {
                continue;
            }
            if (instruction.keyword == "ARG") {
                has_default = has_default || (instruction.line < first_from && here->has_value);
                if (instruction.line > stage.line && (has_default || here->has_value)) {
                    certainty = std::max(certainty, Certainty::likely);
                }
            } else if (instruction.keyword == "ENV" && instruction.line > stage.line) {
                certainty = Certainty::certain;
            }
        }
        return certainty;
    }

    void report(const dockerfile::Instruction& place, const dockerfile::Command& command,
                const Finding& finding, Certainty certainty) {
        const std::string keyword = command.keyword == "RUN" ? "RUN --mount" : command.keyword;
        const std::string what = keyword + ' ' + shown(finding.source);
        const auto warn = [&](std::string_view code, std::string message, std::string hint) {
            if (reported_++ < most_warnings) {
                warnings_.add(std::string(code), std::format("{}:{}: {}", file_.file, command.line, message),
                              std::move(hint));
            }
        };
        if (finding.kind == Finding::Kind::climbs) {
            warn("sourceclimbs",
                 std::format("{}: '..' stops at the context, so this is {}", what,
                             finding.path.empty() ? "all of it" : shown(finding.path)),
                 "write the path as it is seen from the context");
            return;
        }
        Error error = describe(what, finding);
        if (certainty != Certainty::certain) {
            warn("sourceunsure", error.message,
                 "unless the base image sets the variable to something else, this fails; " + error.hint);
        } else if (first_error_) {
            warn(code::context_issue, error.message, error.hint);
        } else {
            error.where = file_.where(place, finding.source);
            first_error_ = std::move(error);
        }
    }

    Error describe(const std::string& what, const Finding& finding) {
        const std::string path = shown(finding.path);
        const auto pattern = [&] {
            return finding.line == 0
                       ? std::string("--exclude")
                       : std::format("line {} of {} (\"{}\")", finding.line, shown(plan_.ignore_file),
                                     shown(rules_.pattern_of(finding.line)));
        };
        const auto error = [](std::string message, std::string hint) {
            return make_error(ErrorClass::build, code::context_issue, std::move(message), std::move(hint));
        };
        switch (finding.kind) {
        case Finding::Kind::excluded:
            return error(std::format("{}: {} excludes {}", what, pattern(), path),
                         finding.line == 0
                             ? std::string("nothing is left to be copied")
                             : std::format("put \"!{}\" below that line, or take the pattern out", path));
        case Finding::Kind::dead_link:
            return error(
                std::format("{}: it is a symbolic link to {}, which is not in the context", what, path),
                "links are followed inside the context only: put the file itself there");
        case Finding::Kind::link_excluded:
            return error(
                std::format("{}: it is a symbolic link to {}, excluded by {}", what, path, pattern()),
                std::format("put \"!{}\" below that line", path));
        case Finding::Kind::no_match:
            return error(std::format("{}: nothing in the context matches", what), hint_for(finding.path));
        default:
            return error(std::format("{}: there is no such file in the context", what),
                         hint_for(finding.path));
        }
    }

    /// Where else it may be, or how else it may be called.
    std::string hint_for(const std::string& path) {
        if (tree_.context != ".") {
            if (path.starts_with(tree_.context + '/') &&
                exists(tree_.context_fd, path.substr(tree_.context.size() + 1))) {
                return std::format("paths begin in the context, {}: write {}", shown(tree_.context),
                                   shown(path.substr(tree_.context.size() + 1)));
            }
            if (exists(tree_.root_fd, path)) {
                return std::format(
                    "it is in the source, but outside the context, {}: move it there, or choose a "
                    "larger --context",
                    shown(tree_.context));
            }
        }
        const auto around = context::neighbours(tree_.context_fd.get(), path);
        const std::vector<std::string_view> names(around.names.begin(), around.names.end());
        const std::string_view near = dockerfile::closest(around.component, names);
        if (!near.empty()) {
            return std::format(
                "did you mean {}?{}",
                shown(around.directory + (around.directory.empty() ? "" : "/") + std::string(near)),
                dockerfile::equal_ignoring_case(near, around.component) ? " Upper and lower case differ"
                                                                        : "");
        }
        const auto elsewhere = context::same_name(tree_.context_fd.get(), path, 1, step_.stop);
        if (!elsewhere.empty()) {
            return std::format("there is {}; paths begin in the context{}", shown(elsewhere.front()),
                               tree_.context == "." ? "" : ", " + shown(tree_.context));
        }
        return "only what was fetched is there: what a build on your machine leaves behind, or .gitignore "
               "keeps "
               "out of the repository, is not";
    }

    static bool exists(const Fd& directory, const std::string& path) {
        return open_beneath(directory.get(), path, O_PATH | O_NOFOLLOW).has_value();
    }

    void warn_if_large() {
        if (!copies_all_ || tally_.bytes < large_context) {
            return;
        }
        std::string largest;
        for (const auto& [size, path] : tally_.largest) {
            largest += std::format("{}{} ({})", largest.empty() ? "" : ", ", shown(path), humane_bytes(size));
        }
        warnings_.add("largecontext",
                      std::format("all of the context is copied, {} in {} files; the largest are {}",
                                  humane_bytes(tally_.bytes), tally_.files, largest),
                      "exclude what the image does not need in .dockerignore");
    }

    const SourceTree& tree_;
    const dockerfile::Dockerfile& file_;
    const dockerfile::BuildPlan& parsed_;
    handoff::Plan& plan_;
    Warnings& warnings_;
    Step& step_;
    context::IgnoreRules rules_;
    context::Tally tally_;
    std::optional<context::Sources> sources_;
    std::optional<Error> first_error_;
    std::size_t reported_ = 0;
    bool copies_all_ = false;
};

} // namespace

Status examine_context(const SourceTree& tree, const dockerfile::Dockerfile& file,
                       const dockerfile::BuildPlan& parsed, bool list, handoff::Plan& plan,
                       Warnings& warnings, Step& step) {
    return ContextCheck(tree, file, parsed, plan, warnings, step).run(list);
}

} // namespace slipway::steps
