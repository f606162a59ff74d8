#include "steps/build_inputs.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "cli/pair_file.hpp"

#include <algorithm>
#include <charconv>
#include <format>
#include <set>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_secret = 1U << 20U;

/// What a wrong secret is told; the secret's own text never is.
std::unexpected<Error> unreadable(std::string_view option, const Error& why) {
    Error error = make_error(ErrorClass::usage, code::missing_or_invalid_argument,
                             std::format("{}: {}", option, why.message), "name a file that can be read");
    error.cause = why.cause;
    return fail(std::move(error));
}

/// The secrets of one build, as files buildah reads.
class Secrets {
  public:
    explicit Secrets(Workshop& shop) : shop_(shop) {}

    /// id=ID,src=PATH or id=ID,env=NAME, as docker and buildah write it.
    Status add(const std::string& text) {
        std::string id;
        std::string source;
        std::string variable;
        for (std::size_t begin = 0; begin <= text.size();) {
            const std::size_t end = std::min(text.find(',', begin), text.size());
            const std::string_view part = std::string_view(text).substr(begin, end - begin);
            begin = end + 1;
            if (part.starts_with("id=")) {
                id = part.substr(3);
            } else if (part.starts_with("src=")) {
                source = part.substr(4);
            } else if (part.starts_with("source=")) {
                source = part.substr(7);
            } else if (part.starts_with("env=")) {
                variable = part.substr(4);
            } else if (part != "type=file" && part != "type=env") {
                return expected();
            }
        }
        if (id.empty() || source.empty() == variable.empty()) {
            return expected();
        }
        if (variable.empty()) {
            TRY(read(source));
            return keep(id, source);
        }
        const std::string value = environment(variable.c_str());
        if (value.empty()) {
            return fail_usage(std::format("--secret: the environment has no {}", variable),
                              "set it in this step's container, from a Secret");
        }
        return keep_text(id, value);
    }

    /// The file's content as a shell puts it into a variable: without line ends at its end.
    Status add_variable(const std::string& id, const fs::path& file) {
        TRY_ASSIGN(std::string content, read(file));
        const auto last = content.find_last_not_of("\r\n");
        content.resize(last == std::string::npos ? 0 : last + 1);
        return keep_text(id, content);
    }

    std::vector<buildah::SecretFile> take() { return std::move(files_); }

  private:
    static std::unexpected<Error> expected() {
        return fail_usage("--secret: expected id=ID,src=PATH or id=ID,env=NAME",
                          "name the secret, and the file or the environment variable that holds it");
    }

    Result<std::string> read(const fs::path& file) {
        auto content = read_file(file, longest_secret);
        if (!content) {
            return unreadable("a secret", content.error());
        }
        shop_.step.secrets({*content});
        return content;
    }

    Status keep_text(const std::string& id, const std::string& text) {
        shop_.step.secrets({text});
        const fs::path file = shop_.home.tmp() / std::format("secret-{}", files_.size());
        TRY(write_file_atomic(file, text, 0600));
        return keep(id, file);
    }

    Status keep(const std::string& id, const fs::path& file) {
        if (!ids_.insert(id).second) {
            return fail_usage(std::format("two secrets have the id {}", one_line(id, 60)),
                              "give each an id of its own");
        }
        files_.push_back({.id = id, .source = file});
        return {};
    }

    Workshop& shop_;
    std::vector<buildah::SecretFile> files_;
    std::set<std::string> ids_;
};

/// The private keys in a directory laid out like ~/.ssh or Kubernetes' kubernetes.io/ssh-auth.
Result<std::vector<fs::path>> keys_in(const fs::path& directory) {
    std::vector<fs::path> keys;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name == "ssh-privatekey" || (name.starts_with("id_") && !name.ends_with(".pub"))) {
            keys.push_back(entry->path());
        }
    }
    if (error || keys.empty()) {
        return fail_usage(std::format("--ssh: there is no private key in {}", directory.string()),
                          "name the key's file, or a directory with ssh-privatekey or id_*");
    }
    std::ranges::sort(keys);
    return keys;
}

/// [ID=]PATH of a key, of a directory of keys, or of an agent's socket.
Status add_ssh(std::vector<buildah::SshAgent>& agents, const std::string& text, Step& step) {
    const auto at = text.starts_with('/') ? std::string::npos : text.find('=');
    const std::string id = at == std::string::npos ? "default" : text.substr(0, at);
    const fs::path path = fs::absolute(at == std::string::npos ? text : text.substr(at + 1));
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (error || id.empty() || !fs::exists(status)) {
        return fail_usage(std::format("--ssh: there is no {}", one_line(path.string(), 120)),
                          "give [ID=]PATH of a private key or of an agent's socket");
    }
    std::vector<fs::path> sources{path};
    if (fs::is_directory(status)) {
        TRY_ASSIGN(sources, keys_in(path));
    }
    if (!fs::is_socket(status)) {
        for (const fs::path& key : sources) {
            auto content = read_file(key, longest_secret);
            if (!content) {
                return unreadable("--ssh", content.error());
            }
            step.secrets({*content});
        }
    }
    auto agent = std::ranges::find(agents, id, &buildah::SshAgent::id);
    if (agent == agents.end()) {
        agents.push_back({.id = id, .sources = {}});
        agent = agents.end() - 1;
    } else if (fs::is_socket(status)) {
        return fail_usage(
            std::format("--ssh: {} has a key already, an agent cannot be added", one_line(id, 60)),
            "give the agent an id of its own");
    }
    agent->sources.insert(agent->sources.end(), sources.begin(), sources.end());
    return {};
}

/// --timestamp, else the build argument SOURCE_DATE_EPOCH, else the environment's.
Result<std::optional<std::int64_t>> timestamp_of(const cli::Build& params, const handoff::Plan& plan) {
    std::string text = params.timestamp;
    std::string_view where = "--timestamp";
    if (text.empty()) {
        where = "SOURCE_DATE_EPOCH";
        const auto argument = plan.build_args.find("SOURCE_DATE_EPOCH");
        text = argument != plan.build_args.end() ? argument->second : environment("SOURCE_DATE_EPOCH");
    }
    if (text.empty()) {
        return std::nullopt;
    }
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr std::int64_t year_9999 = 253'402'300'799;
    if (error != std::errc() || end != text.data() + text.size() || seconds < 0 || seconds > year_9999) {
        return fail_usage(std::format("{}: '{}' is no time", where, one_line(text, 40)),
                          "give whole seconds since 1970, such as `git log -1 --format=%ct` prints");
    }
    return seconds;
}

bool fetches(const handoff::PlannedCommand& command) {
    return command.keyword == "ADD" &&
           (command.text.contains("http://") || command.text.contains("https://"));
}

} // namespace

Result<buildah::Build> build_options(Workshop& shop, const handoff::Plan& plan, bool docker_format) {
    const cli::Build& params = shop.params;
    buildah::Build options;
    options.dockerfile = fs::path(plan.source) / plan.dockerfile;
    options.context = (fs::path(plan.source) / plan.context).lexically_normal();
    options.isolation = shop.recipe.isolation;
    options.layers = false; // nothing of this storage outlives the step: intermediate images would only cost
    options.build_args = {plan.build_args.begin(), plan.build_args.end()};
    options.contexts = {plan.contexts.begin(), plan.contexts.end()};
    for (const handoff::BaseImage& image : plan.images) {
        for (const std::string& spelling : image.stands_in_for) {
            options.bases.push_back({.spelling = spelling, .reference = image.pinned});
        }
    }
    options.target = plan.target;
    TRY_ASSIGN(const auto labels, cli::pairs_over_file(params.labels_file, params.labels));
    options.labels = {labels.begin(), labels.end()};
    TRY_ASSIGN(const auto annotations, cli::pairs_over_file(params.annotations_file, params.annotations));
    options.annotations = {annotations.begin(), annotations.end()};
    Secrets secrets(shop);
    for (const std::string& secret : params.secrets) {
        TRY(secrets.add(secret));
    }
    for (const auto& [id, file] : params.secret_env) {
        TRY(secrets.add_variable(id, file));
    }
    options.secrets = secrets.take();
    for (const std::string& key : params.ssh) {
        TRY(add_ssh(options.ssh, key, shop.step));
    }
    options.squash = params.squash;
    TRY_ASSIGN(options.timestamp, timestamp_of(params, plan));
    if (options.timestamp && docker_format && !shop.cache_failed) {
        shop.step.warn("notreproducible",
                       "a Docker image's configuration names the container it was built in: its digest is "
                       "another each time",
                       "use --format=oci");
    }
    options.platform = plan.platform;
    options.format = docker_format ? "docker" : "oci";
    options.iidfile = shop.home.tmp() / "iid";
    options.access = shop.access;
    options.network = "host"; // the only one chroot isolation knows; hermetic builds have none around them
    options.runtime = shop.recipe.runtime;
    options.drop_capabilities = shop.recipe.drop_capabilities;
    options.ulimits = shop.recipe.ulimits;
    if (shop.recipe.name == "C") {
        // apt changes its user for downloads and believes only what getuid() then says.
        options.run_environment = {{"APT_CONFIG", std::string(emulation::apt_configuration)}};
        if (shop.recipe.isolation == "oci") {
            // A /dev of its own: a place that is not in the image, so nothing of this stays there.
            options.volumes = {std::format("{0}:{0}:ro", emulation::shown_directory)};
        }
    }
    return options;
}

Result<bool> runs_without_network(const cli::Build& params, const handoff::Plan& plan, Step& step) {
    if (params.hermetic && params.network == "host") {
        return fail_usage("--hermetic and --network=host contradict each other", "leave one of them out");
    }
    const bool asked = params.hermetic || params.network == "none";
    const handoff::PlannedCommand* without = nullptr;
    const handoff::PlannedCommand* with = nullptr;
    for (const handoff::PlannedCommand& command : plan.commands) {
        if (command.keyword == "RUN" && command.network == "none") {
            without = without != nullptr ? without : &command;
        } else if (fetches(command) || (command.keyword == "RUN" && !asked)) {
            with = with != nullptr ? with : &command;
        }
    }
    const auto refuse_at = [&](const handoff::PlannedCommand& command, std::string message,
                               std::string hint) {
        Error error =
            make_error(ErrorClass::build, code::dockerfile_issue, std::move(message), std::move(hint));
        error.where =
            Where{.file = plan.dockerfile, .line = command.line, .column = 0, .quote = command.text};
        return fail(std::move(error));
    };
    if (asked) {
        if (with != nullptr) {
            return refuse_at(*with, "ADD would fetch from the network, and this build is to have none",
                             "put the file into the source, or build without --hermetic");
        }
        return true;
    }
    if (without == nullptr) {
        return false;
    }
    if (params.network == "host") {
        step.warn("networkignored", "RUN --network=none has the network nevertheless: --network=host");
        return false;
    }
    if (with != nullptr) {
        return refuse_at(*without, "RUN --network=none cannot be kept while other commands need a network",
                         "--hermetic takes it from all of them, --network=host gives it to all");
    }
    return true;
}

} // namespace slipway::steps
