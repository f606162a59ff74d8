#include "steps/reproduce.hpp"

#include "handoff/files.hpp"
#include "process/process.hpp"
#include "steps/fetch_artifact.hpp"

#include <filesystem>

namespace slipway::steps {

namespace {

using Words = std::vector<std::string>;

/// Of a secret's specification, "id=ID,src=PATH".
std::string secret_id(std::string_view text) {
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(part.size() + 1, text.size()));
        if (part.starts_with("id=")) {
            return std::string(part.substr(3));
        }
    }
    return {};
}

/// A file only the reader has, mounted and named to the option.
void mount(Words& podman, Words& slipway, const std::string& name, const std::string& option) {
    podman.push_back("--volume=./" + name + ":/" + name + ":ro");
    slipway.push_back(option + "/" + name);
}

/// How the source comes in; what has to stand before `podman` is returned.
std::string add_source(Words& podman, Words& slipway, const std::optional<handoff::Source>& source) {
    if (source && !source->commit.empty()) {
        slipway.push_back("--url=" + source->url);
        slipway.push_back("--revision=" + source->commit);
        slipway.insert(slipway.end(), source->options.begin(), source->options.end());
        return {};
    }
    if (source && !source->archive_digest.empty()) {
        const bool remote = source->url.starts_with("http://") || source->url.starts_with("https://") ||
                            is_artifact(source->url);
        slipway.push_back(remote ? "--archive=" + source->url : "--archive=-");
        slipway.push_back("--archive-digest=" + source->archive_digest);
        slipway.insert(slipway.end(), source->options.begin(), source->options.end());
        if (remote) {
            return {};
        }
        podman.emplace_back("--interactive");
        return "cat ./archive | ";
    }
    podman.emplace_back("--interactive");
    slipway.emplace_back("--archive=-");
    return "tar -C ./source -c . | ";
}

} // namespace

std::vector<std::string> selecting_options(const cli::Fetch& params) {
    const cli::Fetch usual;
    Words words;
    if (!params.url.empty()) {
        // History and tags are part of a context that holds .git.
        if (params.depth != usual.depth) {
            words.push_back("--depth=" + std::to_string(params.depth));
        }
        if (params.tags) {
            words.emplace_back("--tags");
        }
        for (const std::string& directory : params.sparse) {
            words.push_back("--sparse=" + directory);
        }
        if (!params.submodules) {
            words.emplace_back("--submodules=false");
        }
        for (const std::string& path : params.submodule_paths) {
            words.push_back("--submodule-path=" + path);
        }
        if (!params.lfs) {
            words.emplace_back("--lfs=false");
        }
    } else if (params.strip_components != 0) {
        words.push_back("--strip-components=" + std::to_string(params.strip_components));
    }
    return words;
}

std::string reproduce_line(const cli::Build& params, const cli::Common& common, const handoff::Plan& plan,
                           const std::optional<handoff::Source>& source,
                           std::optional<std::uint64_t> memory_limit) {
    // Root with podman's own capabilities is recipe A; the volume spares buildah an overlay on an overlay.
    Words podman{
        "podman", "run", "--rm", "--user=0", "--security-opt=label=disable", "--volume=/slipway/work"};
    Words slipway{"run", "--skip"};
    const std::string input = add_source(podman, slipway, source);
    const auto add = [&](std::string_view option, const std::string& value) {
        if (!value.empty()) {
            slipway.push_back(std::string(option) + value);
        }
    };
    const auto add_pairs = [&](std::string_view option, const auto& pairs) {
        for (const auto& [name, value] : pairs) {
            slipway.push_back(std::string(option) + name + "=" + value);
        }
    };
    add("--context=", plan.context == "." ? "" : plan.context);
    add("--dockerfile=", plan.dockerfile);
    add("--target=", plan.target);
    add("--platform=", plan.platform);
    add_pairs("--build-arg=", plan.build_args);
    for (const handoff::BaseImage& image : plan.images) {
        if (!image.spelling.contains('@')) {
            slipway.push_back("--base-image-override=" + image.spelling + "=" + image.pinned);
        }
    }
    add("--format=", params.format == "auto" ? "" : params.format);
    add_pairs("--label=", params.labels);
    add_pairs("--annotation=", params.annotations);
    for (const std::string& secret : params.secrets) {
        const std::string id = secret_id(secret);
        mount(podman, slipway, "secret-" + id, "--secret=id=" + id + ",src=");
    }
    for (const auto& [id, file] : params.secret_env) {
        mount(podman, slipway, "secret-" + id, "--secret-env=" + id + "=");
    }
    for (const std::string& key : params.ssh) {
        const auto at = key.starts_with('/') ? std::string::npos : key.find('=');
        const std::string id = at == std::string::npos ? "default" : key.substr(0, at);
        mount(podman, slipway, "ssh-" + id, "--ssh=" + id + "=");
    }
    if (!params.labels_file.empty()) {
        mount(podman, slipway, "labels", "--labels-file=");
    }
    if (!params.annotations_file.empty()) {
        mount(podman, slipway, "annotations", "--annotations-file=");
    }
    for (const auto& [name, directory] : plan.contexts) {
        mount(podman, slipway, "context-" + name, "--build-context=" + name + "=");
    }
    if (params.squash) {
        slipway.emplace_back("--squash");
    }
    add("--timestamp=", params.timestamp);
    add("--network=", params.hermetic ? "none" : params.network);
    if (!common.authfile.empty()) {
        mount(podman, slipway, "auth.json", "--authfile=");
    }
    if (!common.ca_file.empty()) {
        mount(podman, slipway, "ca.pem", "--ca-file=");
    }
    if (!params.registry.tls_verify) {
        slipway.emplace_back("--tls-verify=false");
    }
    if (memory_limit) {
        podman.push_back("--memory=" + std::to_string(*memory_limit));
    }
    podman.push_back(params.runner_image.empty() ? "localhost/slipway:" + program_version()
                                                 : params.runner_image);
    podman.insert(podman.end(), slipway.begin(), slipway.end());
    return input + process::quote(podman);
}

void tell_how_to_reproduce(Workshop& shop, const handoff::Plan& plan, const Error& error) {
    std::optional<handoff::Source> source;
    if (auto read = handoff::read_source(shop.step.state); read && read->directory == plan.source) {
        source = std::move(*read);
    }
    const auto limit = error.code == code::out_of_memory ? shop.sampler.sample_cgroup().limit
                                                         : std::optional<std::uint64_t>();
    // Masked as a whole, before a secret can be torn apart.
    const std::string line =
        shop.step.redactor.mask(reproduce_line(shop.params, shop.step.common, plan, source, limit));
    constexpr std::size_t longest = 1800; // twice that, escaped, still fits a frame
    for (std::string_view rest = line; !rest.empty();) {
        std::size_t size = std::min(rest.size(), longest);
        while (size < rest.size() && size > longest - 4 &&
               (static_cast<unsigned char>(rest[size]) & 0xC0U) == 0x80U) {
            --size; // not within a character
        }
        const std::string piece(rest.substr(0, size));
        rest.remove_prefix(size);
        shop.step.stream.emit(frames::Reproduce{.command = piece, .more = !rest.empty()});
    }
}

} // namespace slipway::steps
