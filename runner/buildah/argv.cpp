#include "buildah/argv.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <format>
#include <string_view>

namespace slipway::buildah {

namespace {

std::unexpected<Error> refuse(std::string_view what, std::string_view why) {
    return fail_usage(std::format("{} {}", what, why));
}

/// Collects arguments and the first thing wrong with one of them.
class Builder {
  public:
    explicit Builder(const Global& global) {
        argv_ = global.wrapper;
        argv_.push_back(global.program);
        option("--root", global.root.native());
        option("--runroot", global.runroot.native());
        option("--storage-driver", global.driver);
        for (const std::string& value : global.storage_options) {
            plain("--storage-opt", value);
        }
        option("--registries-conf", global.registries_conf.native());
        option("--short-name-alias-conf", global.short_names.native());
        option("--log-level", global.log_level);
    }

    void word(std::string_view text) { argv_.emplace_back(text); }

    /// `--name=value`; nothing for an empty value.
    void option(std::string_view name, std::string_view value) {
        if (!value.empty()) {
            always(name, value);
        }
    }
    void always(std::string_view name, std::string_view value) {
        check(name, value);
        argv_.push_back(std::format("{}={}", name, value));
    }
    /// A list option buildah splits at commas: one element may not hold any.
    void plain(std::string_view name, std::string_view value) {
        if (value.contains(',') || value.contains('"')) {
            wrong(name, std::format("must not contain commas or quotes: {}", one_line(value, 60)));
        }
        option(name, value);
    }
    /// A list option buildah reads as a line of CSV: what would split is quoted.
    void csv(std::string_view name, std::string_view value) {
        if (value.find_first_of(",\"") == std::string_view::npos) {
            option(name, value);
            return;
        }
        if (value.contains('\n') || value.contains('\r')) {
            wrong(name, "must not contain line breaks");
        }
        std::string quoted = "\"";
        for (const char c : value) {
            quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
        }
        always(name, quoted + '"');
    }
    void flag(std::string_view name, bool value) {
        argv_.push_back(std::format("{}={}", name, value ? "true" : "false"));
    }
    void pairs(std::string_view name, const Pairs& values, bool value_may_be_empty = true) {
        for (const auto& [key, value] : values) {
            if (key.empty() || key.contains('=')) {
                wrong(name, std::format("needs a name without '=': {}", one_line(key, 60)));
            }
            if (!value_may_be_empty && value.empty()) {
                wrong(name, std::format("needs a value for {}", one_line(key, 60)));
            }
            always(name, key + '=' + value);
        }
    }
    void access(const Access& access) {
        option("--authfile", access.authfile.native());
        if (access.tls_verify) {
            flag("--tls-verify", *access.tls_verify);
        }
        option("--cert-dir", access.cert_dir.native());
    }
    /// Everything after this stands where no option is read.
    void positional(std::initializer_list<std::string_view> values) {
        argv_.emplace_back("--");
        for (const std::string_view value : values) {
            if (value.empty()) {
                wrong(argv_.front(), "was to be given an empty argument");
            }
            check("argument", value);
            argv_.emplace_back(value);
        }
    }
    void wrong(std::string_view what, std::string why) {
        if (problem_.empty()) {
            problem_ = std::format("{} {}", what, why);
        }
    }
    Result<Argv> take() {
        if (!problem_.empty()) {
            return fail_usage(std::move(problem_));
        }
        return std::move(argv_);
    }

  private:
    void check(std::string_view what, std::string_view value) {
        if (value.contains('\0')) {
            wrong(what, "must not contain a NUL byte");
        }
    }

    Argv argv_;
    std::string problem_;
};

/// Characters every image reference is made of; buildah does the exact parsing.
bool reference_like(std::string_view text) {
    return !text.empty() && text.size() <= 1024 && text.front() != '-' &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("._-/:@[]+%").contains(c);
           });
}

bool one_of(std::string_view value, std::initializer_list<std::string_view> allowed) {
    return std::ranges::find(allowed, value) != allowed.end();
}

void secrets(Builder& builder, const Build& options) {
    for (const auto& [id, source] : options.secrets) {
        // buildah splits at every comma and knows no quoting here.
        if (id.empty() || id.find_first_of(",=") != std::string::npos) {
            builder.wrong("--secret", std::format("needs an id without ',' and '=': {}", one_line(id, 60)));
        }
        if (source.empty() || source.native().contains(',')) {
            builder.wrong("--secret", std::format("needs a file whose path has no comma: {}",
                                                  one_line(source.native(), 60)));
        }
        builder.always("--secret", std::format("id={},src={}", id, source.native()));
    }
    for (const auto& [id, sources] : options.ssh) {
        if (id.empty() || id.find_first_of(",=") != std::string::npos) {
            builder.wrong("--ssh", std::format("needs an id without ',' and '=': {}", one_line(id, 60)));
        }
        std::string value = id;
        char separator = '=';
        for (const std::filesystem::path& source : sources) {
            if (source.native().contains(',')) {
                builder.wrong("--ssh", std::format("needs files whose paths have no comma: {}",
                                                   one_line(source.native(), 60)));
            }
            value += separator + source.native();
            separator = ',';
        }
        builder.always("--ssh", value);
    }
}

} // namespace

Result<std::string> oci_destination(const std::filesystem::path& directory, const std::string& name) {
    if (!directory.is_absolute() || directory.native().contains(':')) {
        return refuse("an OCI layout's directory", "must be an absolute path without ':'");
    }
    if (name.empty()) {
        return "oci:" + directory.native();
    }
    if (!reference_like(name)) {
        return refuse("an OCI layout's image name", "is not one: " + one_line(name, 60));
    }
    return std::format("oci:{}:{}", directory.native(), name);
}

Result<std::string> dir_destination(const std::filesystem::path& directory) {
    if (!directory.is_absolute()) {
        return refuse("a dir layout", "must be an absolute path");
    }
    return "dir:" + directory.native();
}

Result<Argv> pull(const Global& global, const Pull& options) {
    if (!reference_like(options.reference)) {
        return refuse("base image", "is not a reference: " + one_line(options.reference, 60));
    }
    if (!one_of(options.policy, {"always", "missing", "never", "newer"})) {
        return refuse("pull policy", "is unknown: " + one_line(options.policy, 60));
    }
    Builder builder(global);
    builder.word("pull");
    builder.always("--policy", options.policy);
    builder.plain("--platform", options.platform);
    if (options.retries >= 0) {
        builder.always("--retry", std::to_string(options.retries));
    }
    builder.access(options.access);
    builder.positional({"docker://" + options.reference});
    return builder.take();
}

Result<Argv> build(const Global& global, const Build& options) {
    if (!options.dockerfile.is_absolute() || !options.context.is_absolute()) {
        return refuse("Dockerfile and context", "must be absolute paths");
    }
    if (!one_of(options.isolation, {"chroot", "oci", "rootless"})) {
        return refuse("isolation", "is unknown: " + one_line(options.isolation, 60));
    }
    if (!one_of(options.format, {"oci", "docker"})) {
        return refuse("image format", "is neither oci nor docker: " + one_line(options.format, 60));
    }
    if (!one_of(options.pull_policy, {"always", "missing", "never", "newer"})) {
        return refuse("pull policy", "is unknown: " + one_line(options.pull_policy, 60));
    }
    Builder builder(global);
    builder.word("build");
    builder.always("--isolation", options.isolation);
    builder.flag("--layers", options.layers && !options.squash);
    builder.always("--pull", options.pull_policy);
    builder.always("--format", options.format);
    builder.option("--network", options.network);
    for (const auto& [spelling, reference] : options.bases) {
        // Compared with the text of the Dockerfile, so a name may also hold ${…}.
        if (spelling.empty() || spelling.contains('=') || !reference_like(reference)) {
            builder.wrong("--build-context", std::format("cannot pin {} to {}", one_line(spelling, 60),
                                                         one_line(reference, 60)));
        }
        builder.always("--build-context", std::format("{}=docker-image://{}", spelling, reference));
    }
    builder.pairs("--build-context", options.contexts, false);
    builder.pairs("--build-arg", options.build_args);
    builder.option("--target", options.target);
    builder.pairs("--label", options.labels);
    builder.pairs("--annotation", options.annotations);
    secrets(builder, options);
    builder.plain("--platform", options.platform);
    if (options.squash) {
        builder.word("--squash");
    }
    if (options.timestamp) {
        builder.always("--timestamp", std::to_string(*options.timestamp));
    }
    builder.option("--iidfile", options.iidfile.native());
    for (const std::string& tag : options.tags) {
        if (!reference_like(tag)) {
            builder.wrong("--tag", "is not a reference: " + one_line(tag, 60));
        }
        builder.always("--tag", tag);
    }
    for (const std::string& repository : options.cache_from) {
        builder.always("--cache-from", repository);
    }
    for (const std::string& repository : options.cache_to) {
        builder.always("--cache-to", repository);
    }
    builder.option("--cache-ttl", options.cache_ttl);
    if (options.no_cache) {
        builder.word("--no-cache");
    }
    builder.option("--ignorefile", options.ignorefile.native());
    if (options.retries >= 0) {
        builder.always("--retry", std::to_string(options.retries));
    }
    for (const std::string& capability : options.drop_capabilities) {
        builder.plain("--cap-drop", capability);
    }
    for (const std::string& limit : options.ulimits) {
        builder.plain("--ulimit", limit);
    }
    if (!options.runtime.empty()) {
        builder.always("--runtime", options.runtime);
    }
    for (const std::string& volume : options.volumes) {
        builder.always("--volume", volume);
    }
    builder.pairs("--env", options.run_environment);
    for (const auto& variable : options.run_environment) {
        builder.plain("--unsetenv", variable.first);
    }
    builder.access(options.access);
    builder.csv("--file", options.dockerfile.native());
    builder.positional({options.context.native()});
    return builder.take();
}

Result<Argv> push(const Global& global, const Push& options) {
    if (!options.destination.starts_with("oci:") && !options.destination.starts_with("dir:")) {
        return refuse("destination", "must be an oci: or dir: layout");
    }
    Builder builder(global);
    builder.word("push");
    builder.option("--digestfile", options.digestfile.native());
    builder.option("--format", options.format);
    builder.option("--compression-format", options.compression);
    if (options.compression_level) {
        builder.always("--compression-level", std::to_string(*options.compression_level));
    }
    if (options.force_compression) {
        builder.word("--force-compression");
    }
    builder.access(options.access);
    builder.positional({options.image, options.destination});
    return builder.take();
}

Result<Argv> tag(const Global& global, const std::string& image, const std::string& name) {
    if (!reference_like(image) || !reference_like(name) || name.contains('@')) {
        return refuse("tag", std::format("cannot name {} {}", one_line(image, 60), one_line(name, 60)));
    }
    Builder builder(global);
    builder.word("tag");
    builder.positional({image, name});
    return builder.take();
}

Result<Argv> inspect(const Global& global, const std::string& image) {
    Builder builder(global);
    builder.word("inspect");
    builder.always("--type", "image");
    builder.positional({image});
    return builder.take();
}

Result<Argv> remove_image(const Global& global, const std::string& image, bool force) {
    Builder builder(global);
    builder.word("rmi");
    builder.flag("--force", force);
    builder.positional({image});
    return builder.take();
}

Result<Argv> remove_all_containers(const Global& global) {
    Builder builder(global);
    builder.word("rm");
    builder.word("--all");
    return builder.take();
}

Result<Argv> info(const Global& global) {
    Builder builder(global);
    builder.word("info");
    return builder.take();
}

Result<Argv> version(const Global& global) {
    Builder builder(global);
    builder.word("version");
    builder.word("--json");
    return builder.take();
}

} // namespace slipway::buildah
