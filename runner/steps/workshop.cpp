#include "steps/workshop.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

std::vector<std::string> child_environment(const pod::Home& home, const pod::Recipe& recipe,
                                           const cli::Common& common) {
    std::vector<std::string> result;
    const auto put = [&](const std::string& name, const std::string& value) {
        std::erase_if(result, [&](const std::string& entry) { return entry.starts_with(name + "="); });
        result.push_back(name + "=" + value);
    };
    std::string path = environment("PATH");
    put("PATH", path.empty() ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : path);
    for (const char* name :
         {"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
          "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "CONTAINERS_REGISTRIES_CONF"}) {
        if (std::string value = environment(name); !value.empty()) {
            put(name, value);
        }
    }
    if (!common.ca_file.empty()) {
        put("SSL_CERT_FILE", common.ca_file.string());
    }
    for (const auto& [name, value] : home.environment()) {
        put(name, value);
    }
    for (const auto& [name, value] : recipe.environment) {
        put(name, value);
    }
    return result;
}

buildah::Ending ending(buildah::Verb verb, const process::Exit& exit,
                       const buildah::Interpreter& interpreter) {
    buildah::Ending how;
    how.verb = verb;
    how.tail = interpreter.error_tail();
    how.helper_tail = interpreter.helper_tail();
    if (verb == buildah::Verb::build && how.helper_tail.empty()) {
        // Writers not told apart: how a RUN died is said just before buildah's own last word.
        const auto last = std::ranges::find_last_if(
            how.tail, [](const std::string& line) { return line.starts_with("Error: "); });
        how.helper_tail.assign(how.tail.begin(), last.begin());
    }
    how.step = interpreter.current() ? interpreter.current()->text : "";
    how.exit_code = exit.code;
    how.signal = exit.kind == process::Exit::Kind::signalled ? exit.signal : 0;
    return how;
}

buildah::Ending captured_ending(buildah::Verb verb, const process::Captured& captured) {
    buildah::Interpreter interpreter;
    for (std::size_t begin = 0; begin < captured.err.size();) {
        const std::size_t end = std::min(captured.err.find('\n', begin), captured.err.size());
        interpreter.feed(buildah::Stream::err, std::string_view(captured.err).substr(begin, end - begin),
                         true);
        begin = end + 1;
    }
    return ending(verb, captured.exit, interpreter);
}

void tell_timing(Step& step, std::string what, const process::Usage& usage) {
    step.stream.emit(frames::Timing{.what = std::move(what),
                                    .start = step.clock.now() - usage.wall,
                                    .duration = usage.wall,
                                    .cpu = usage.user + usage.system,
                                    .peak_memory = usage.peak_memory_bytes,
                                    .bytes = {}});
}

frames::Heartbeat heartbeat(const Workshop& shop) {
    const pod::Usage usage = shop.sampler.sample(shop.child);
    return {.elapsed = {},
            .memory = usage.tree_memory,
            .memory_limit = usage.cgroup.limit,
            .storage_free = usage.free_bytes,
            .inodes_free = usage.free_inodes};
}

namespace {

/// What was made under mapped ids can only be removed under the same map. Whether all of it is gone.
bool remove_mapped(const Workshop& shop, const std::vector<std::filesystem::path>& paths) {
    std::vector<std::string> argv = shop.global.wrapper;
    argv.insert(argv.end(), {"rm", "-rf", "--"});
    argv.insert(argv.end(), paths.begin(), paths.end());
    // Also after a stop, but then in a hurry: storage left behind would fill the next attempt's volume.
    static_cast<void>(process::capture(
        {.argv = std::move(argv), .environment = shop.environment},
        {.timeout = Milliseconds(shop.step.stop.requested() ? 3000 : 60'000), .grace = Milliseconds(500)},
        StopToken()));
    std::error_code ignored;
    return std::ranges::none_of(paths, [&](const std::filesystem::path& path) {
        return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
    });
}

} // namespace

void remove_leftovers(Workshop& shop) {
    const std::uint64_t before = shop.sampler.sample_disk().free_bytes;
    std::size_t stayed = 0;
    for (const auto& path : shop.home.leftovers()) {
        stayed += remove_mapped(shop, {path}) ? 0U : 1U;
    }
    const std::uint64_t after = shop.sampler.sample_disk().free_bytes;
    const std::uint64_t freed = shop.home.reclaimed() + (after > before ? after - before : 0);
    if (freed > 0) {
        shop.step.warn("leftovers", "removed what an earlier build left: " + humane_bytes(freed));
    }
    if (stayed > 0) {
        shop.step.warn("leftovers", std::format("{} directories of earlier builds cannot be removed", stayed),
                       "empty the build's volume: their files belong to ids this pod does not have");
    }
}

void clean_up(Workshop& shop) {
    remove_mapped(shop, {shop.home.graph_root(), shop.home.run_root(), shop.home.tmp()});
    static_cast<void>(shop.home.remove());
}

} // namespace slipway::steps
