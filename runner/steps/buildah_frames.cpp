#include "steps/buildah_frames.hpp"

#include "base/encoding.hpp"

#include <algorithm>

namespace slipway::steps {

namespace {

frames::LineEnd to_frames(process::LineEnd end) {
    switch (end) {
    case process::LineEnd::newline: return frames::LineEnd::newline;
    case process::LineEnd::carriage_return: return frames::LineEnd::carriage_return;
    case process::LineEnd::partial: return frames::LineEnd::partial;
    }
    return frames::LineEnd::newline;
}

} // namespace

void BuildFrames::on_line(const process::Line& line) {
    const bool out = line.stream == process::Stream::out;
    if (trust_ == frames::Trust::writer && !line.from_main) {
        if (!out) {
            interpreter_.feed(buildah::Stream::err, line.text, false); // how a RUN died is said there
        }
        remember(line.text);
        log(line); // a RUN's output means nothing else to us, and there may be gigabytes of it
        return;
    }
    const buildah::Event event =
        interpreter_.feed(out ? buildah::Stream::out : buildah::Stream::err, line.text, true);
    if (const auto* started = std::get_if<buildah::StepStarted>(&event)) {
        start(*started);
    } else if (std::holds_alternative<buildah::Cached>(event)) {
        cached_ = true;
    } else if (std::holds_alternative<buildah::CommitStarted>(event)) {
        finish_current(frames::CommandState::done);
        log(line);
    } else {
        if (trust_ == frames::Trust::text && std::holds_alternative<buildah::Output>(event)) {
            remember(line.text);
        }
        log(line);
    }
}

/// Only the end of it is looked at: a piece may be as long as what was read at once.
void BuildFrames::remember(std::string_view text) {
    constexpr std::size_t most_lines = 8;
    constexpr std::size_t longest = 200;
    while (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    std::size_t begin = text.size();
    for (std::size_t lines = 0; begin > 0 && lines < most_lines; ++lines) {
        const std::size_t at = text.rfind('\n', begin - 1);
        begin = at == std::string_view::npos ? 0 : at;
    }
    for (text.remove_prefix(begin); !text.empty();) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        line = line.substr(
            0, line.find("subprocess exited ")); // buildah's helper, also behind an unfinished line
        if (line.empty()) {
            continue;
        }
        last_lines_.push_back(to_valid_utf8(line.substr(0, longest)));
        if (last_lines_.size() > most_lines) {
            last_lines_.pop_front();
        }
    }
}

void BuildFrames::log(const process::Line& line) {
    step_.stream.log(line.stream == process::Stream::out ? frames::Lane::out : frames::Lane::err, line.text,
                     to_frames(line.end),
                     running_ && current_ != nullptr ? std::optional(current_->n) : std::nullopt);
}

std::vector<handoff::PlannedCommand>::const_iterator
BuildFrames::find(const buildah::StepStarted& started) const {
    const int index = started.stage - 1;
    const auto in_stage = std::ranges::count(plan_.commands, index, &handoff::PlannedCommand::stage);
    const bool last = !plan_.stages.empty() && plan_.stages.back().index == index;
    // buildah counts the triggers of a base image, which run right after FROM, and appends its own LABELs.
    const int triggers = std::max(0, started.count - static_cast<int>(in_stage) - (last ? appended_ : 0));
    if (started.position > 1 && started.position <= 1 + triggers) {
        return plan_.commands.end();
    }
    const int position = started.position > 1 ? started.position - triggers : 1;
    return std::ranges::find_if(plan_.commands, [&](const handoff::PlannedCommand& command) {
        return command.stage == index && command.position == position;
    });
}

void BuildFrames::start(const buildah::StepStarted& started) {
    finish_current(frames::CommandState::done);
    const auto planned = find(started);
    if (planned == plan_.commands.end()) {
        // A LABEL for --label, an ONBUILD trigger of the base image: no instructions of the file.
        step_.stream.log(frames::Lane::out, started.text);
        return;
    }
    current_ = &*planned;
    running_ = true;
    cached_ = false;
    last_lines_.clear();
    started_ = step_.clock.steady();
    if (told_.begun.insert(current_->n).second) {
        emit(frames::CommandState::started, {});
    }
}

void BuildFrames::finish_current(frames::CommandState state) {
    if (!running_) {
        return;
    }
    const auto took = std::chrono::duration_cast<Milliseconds>(step_.clock.steady() - started_);
    const bool cached = cached_ && state == frames::CommandState::done;
    cached_total_ += cached ? 1 : 0;
    running_ = false;
    last_took_ = took;
    if (!told_.ended.insert(current_->n).second) {
        return;
    }
    emit(cached ? frames::CommandState::cached : state, cached ? std::nullopt : std::optional(took));
    step_.stream.emit(frames::Progress{.what = "build",
                                       .id = "commands",
                                       .current = static_cast<std::uint64_t>(current_->n),
                                       .total = static_cast<std::uint64_t>(total_),
                                       .unit = frames::Unit::commands});
}

void BuildFrames::emit(frames::CommandState state, std::optional<Milliseconds> duration) {
    const auto stage = std::ranges::find(plan_.stages, current_->stage, &handoff::PlannedStage::index);
    const bool named = stage != plan_.stages.end() && !stage->name.empty();
    step_.stream.emit(frames::Command{.n = current_->n,
                                      .of = total_,
                                      .stage = named ? stage->name : std::to_string(current_->stage),
                                      .line = current_->line,
                                      .text = current_->text,
                                      .state = state,
                                      .duration = duration,
                                      .trust = trust_});
}

void BuildFrames::finish(bool succeeded) {
    finish_current(succeeded ? frames::CommandState::done : frames::CommandState::failed);
}

} // namespace slipway::steps
