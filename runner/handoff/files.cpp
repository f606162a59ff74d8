#include "handoff/files.hpp"

#include "base/file.hpp"

#include <array>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::handoff {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t largest_file = 32U << 20U;
constexpr std::array<std::string_view, 4> kinds{"source", "plan", "image", "pushed"};

fs::path path_of(const fs::path& state, std::string_view kind) {
    return state / (std::string(kind) + ".json");
}

std::unexpected<Error> unusable(std::string_view kind, const std::string& what) {
    return fail_usage(std::string(kind) + ".json in the hand-off directory cannot be used: " + what,
                      "run the earlier steps again with the same program version");
}

/// Members of one JSON object, checked one by one. The first problem is kept; reading goes on with defaults.
class Members {
  public:
    Members(const Json& object, std::string place) : object_(object), place_(std::move(place)) {
        if (!object_.is_object()) {
            problem_ = place_ + " is not an object";
        }
    }

    Members& text(const char* name, std::string& into, bool required = true) {
        if (const Json* member = find(name, required)) {
            if (member->is_string()) {
                into = member->get<std::string>();
            } else {
                wrong(name, "a string");
            }
        }
        return *this;
    }

    template <class Integer> Members& number(const char* name, Integer& into) {
        if (const Json* member = find(name, true)) {
            const bool fits =
                std::is_unsigned_v<Integer> ? member->is_number_unsigned() : member->is_number_integer();
            if (fits && (sizeof(Integer) == 8 ||
                         (member->get<std::int64_t>() >= 0 && member->get<std::int64_t>() <= 100'000'000))) {
                into = member->get<Integer>();
            } else {
                wrong(name, "a number in range");
            }
        }
        return *this;
    }

    Members& flag(const char* name, bool& into) {
        if (const Json* member = find(name, true)) {
            if (member->is_boolean()) {
                into = member->get<bool>();
            } else {
                wrong(name, "true or false");
            }
        }
        return *this;
    }

    Members& texts(const char* name, std::vector<std::string>& into, bool required = true) {
        return list(
            name,
            [&](const Json& item, const std::string& place) {
                if (!item.is_string()) {
                    wrong(place.c_str(), "a string");
                    return;
                }
                into.push_back(item.get<std::string>());
            },
            required);
    }

    template <class Item> Members& objects(const char* name, std::vector<Item>& into) {
        return list(name, [&](const Json& item, const std::string& place) {
            Members members(item, place);
            into.emplace_back();
            read_members(members, into.back());
            note(members.problem_);
        });
    }

    Members& pairs(const char* name, std::map<std::string, std::string>& into) {
        if (const Json* member = find(name, true)) {
            if (!member->is_object()) {
                wrong(name, "an object");
                return *this;
            }
            for (const auto& [key, value] : member->items()) {
                if (!value.is_string()) {
                    wrong(name, "an object of strings");
                    return *this;
                }
                into.emplace(key, value.get<std::string>());
            }
        }
        return *this;
    }

    [[nodiscard]] const std::string& problem() const { return problem_; }

  private:
    const Json* find(const char* name, bool required) {
        if (!object_.is_object()) {
            return nullptr;
        }
        const auto at = object_.find(name);
        if (at == object_.end()) {
            if (required) {
                note(place_ + "." + name + " is missing");
            }
            return nullptr;
        }
        return &*at;
    }

    template <class Read> Members& list(const char* name, const Read& read, bool required = true) {
        if (const Json* member = find(name, required)) {
            if (!member->is_array()) {
                wrong(name, "an array");
                return *this;
            }
            for (std::size_t i = 0; i < member->size() && problem_.empty(); ++i) {
                read((*member)[i], std::string(name) + "[" + std::to_string(i) + "]");
            }
        }
        return *this;
    }

    void wrong(const char* name, const char* expected) { note(place_ + "." + name + " is not " + expected); }
    void note(const std::string& problem) {
        if (problem_.empty()) {
            problem_ = problem;
        }
    }

    static void read_members(Members& in, PlannedStage& stage) {
        in.number("index", stage.index).text("name", stage.name).text("base", stage.base);
        in.text("base-kind", stage.base_kind);
    }
    static void read_members(Members& in, PlannedCommand& command) {
        in.number("n", command.n).number("stage", command.stage).number("position", command.position);
        in.number("line", command.line).text("keyword", command.keyword).text("text", command.text);
        in.text("network", command.network);
    }
    static void read_members(Members& in, PlannedWarning& warning) {
        in.text("code", warning.code).text("message", warning.message).text("hint", warning.hint);
    }
    static void read_members(Members& in, BaseImage& image) {
        in.text("spelling", image.spelling)
            .text("pinned", image.pinned)
            .text("name", image.name)
            .text("index-digest", image.index_digest);
        in.text("manifest-digest", image.manifest_digest).text("registry", image.registry);
        in.text("repository", image.repository).text("tag", image.tag).text("platform", image.platform);
        in.number("size", image.size).number("line", image.line).texts("layers", image.layers);
        in.text("user", image.user).texts("env", image.env).texts("on-build", image.on_build);
        in.texts("stands-in-for", image.stands_in_for);
    }

    const Json& object_;
    std::string place_;
    std::string problem_;
};

Result<Json> load(const fs::path& state, std::string_view kind) {
    const fs::path path = path_of(state, kind);
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) {
        const int err = errno;
        if (err == ENOENT) {
            return fail_usage("there is no " + path.filename().string() + " in " + state.string(),
                              "run the step that writes it first, with the same --state");
        }
        return unusable(kind, errno_error("open", err).cause);
    }
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return unusable(kind, "it is not a regular file");
    }
    auto content = read_all(fd.get(), largest_file);
    if (!content) {
        return unusable(kind, content.error().message);
    }
    Json json = Json::parse(*content, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
        return unusable(kind, "it is not a JSON object");
    }
    const auto version = json.find("slipway-handoff");
    if (version == json.end() || !version->is_number_integer()) {
        return unusable(kind, "it has no \"slipway-handoff\" version");
    }
    if (*version != format_version) {
        return unusable(kind, "its version is " + version->dump() + ", this program reads " +
                                  std::to_string(format_version));
    }
    return json;
}

Status store(const fs::path& state, std::string_view kind, const Json& members) {
    Json json{{"slipway-handoff", format_version}};
    json.update(members);
    // Text from outside may be no UTF-8; the strict default of dump() would throw.
    return write_file_atomic(path_of(state, kind),
                             json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", 0640);
}

} // namespace

Status write(const fs::path& state, const Source& value) {
    return store(state, "source",
                 {{"directory", value.directory},
                  {"commit", value.commit},
                  {"url", value.url},
                  {"ref", value.ref},
                  {"committer-date", value.committer_date},
                  {"committer-time", value.committer_time},
                  {"subject", value.subject},
                  {"archive-digest", value.archive_digest},
                  {"author", value.author},
                  {"author-date", value.author_date},
                  {"tree", value.tree},
                  {"options", value.options}});
}

Result<Source> read_source(const fs::path& state) {
    TRY_ASSIGN(const Json json, load(state, "source"));
    Source value;
    Members in(json, "source");
    in.text("directory", value.directory).text("commit", value.commit).text("url", value.url);
    in.text("ref", value.ref).text("committer-date", value.committer_date);
    in.number("committer-time", value.committer_time).text("subject", value.subject);
    in.text("archive-digest", value.archive_digest);
    in.text("author", value.author, false).text("author-date", value.author_date, false);
    in.text("tree", value.tree, false).texts("options", value.options, false);
    if (!in.problem().empty()) {
        return unusable("source", in.problem());
    }
    return value;
}

Status write(const fs::path& state, const Plan& value) {
    Json stages = Json::array();
    for (const PlannedStage& stage : value.stages) {
        stages.push_back({{"index", stage.index},
                          {"name", stage.name},
                          {"base", stage.base},
                          {"base-kind", stage.base_kind}});
    }
    Json commands = Json::array();
    for (const PlannedCommand& command : value.commands) {
        commands.push_back({{"n", command.n},
                            {"stage", command.stage},
                            {"position", command.position},
                            {"line", command.line},
                            {"keyword", command.keyword},
                            {"text", command.text},
                            {"network", command.network}});
    }
    Json images = Json::array();
    for (const BaseImage& image : value.images) {
        images.push_back({{"spelling", image.spelling},
                          {"pinned", image.pinned},
                          {"name", image.name},
                          {"index-digest", image.index_digest},
                          {"manifest-digest", image.manifest_digest},
                          {"registry", image.registry},
                          {"repository", image.repository},
                          {"tag", image.tag},
                          {"platform", image.platform},
                          {"size", image.size},
                          {"line", image.line},
                          {"user", image.user},
                          {"env", image.env},
                          {"on-build", image.on_build},
                          {"layers", image.layers},
                          {"stands-in-for", image.stands_in_for}});
    }
    Json warnings = Json::array();
    for (const PlannedWarning& warning : value.warnings) {
        warnings.push_back({{"code", warning.code}, {"message", warning.message}, {"hint", warning.hint}});
    }
    return store(state, "plan",
                 {{"source", value.source},
                  {"context", value.context},
                  {"dockerfile", value.dockerfile},
                  {"ignore-file", value.ignore_file},
                  {"context-files", value.context_files},
                  {"context-bytes", value.context_bytes},
                  {"target", value.target},
                  {"platform", value.platform},
                  {"docker-format", value.docker_format},
                  {"build-args", Json(value.build_args)},
                  {"contexts", Json(value.contexts)},
                  {"stages", std::move(stages)},
                  {"commands", std::move(commands)},
                  {"images", std::move(images)},
                  {"warnings", std::move(warnings)}});
}

Result<Plan> read_plan(const fs::path& state) {
    TRY_ASSIGN(const Json json, load(state, "plan"));
    Plan value;
    Members in(json, "plan");
    in.text("source", value.source).text("context", value.context).text("dockerfile", value.dockerfile);
    in.text("target", value.target)
        .text("platform", value.platform)
        .flag("docker-format", value.docker_format);
    in.pairs("build-args", value.build_args).pairs("contexts", value.contexts);
    in.objects("stages", value.stages);
    in.text("ignore-file", value.ignore_file).number("context-files", value.context_files);
    in.number("context-bytes", value.context_bytes).objects("warnings", value.warnings);
    in.objects("commands", value.commands).objects("images", value.images);
    if (!in.problem().empty()) {
        return unusable("plan", in.problem());
    }
    return value;
}

Status write(const fs::path& state, const Image& value) {
    return store(state, "image",
                 {{"layout", value.layout},
                  {"path", value.path},
                  {"manifest-digest", value.manifest_digest},
                  {"config-digest", value.config_digest},
                  {"platform", value.platform},
                  {"size", value.size},
                  {"layers", value.layers}});
}

Result<Image> read_image(const fs::path& state) {
    TRY_ASSIGN(const Json json, load(state, "image"));
    Image value;
    Members in(json, "image");
    in.text("layout", value.layout).text("path", value.path).text("manifest-digest", value.manifest_digest);
    in.text("config-digest", value.config_digest).text("platform", value.platform);
    in.number("size", value.size).number("layers", value.layers);
    if (!in.problem().empty()) {
        return unusable("image", in.problem());
    }
    if (value.layout != "oci" && value.layout != "dir") {
        return unusable("image", "image.layout is neither oci nor dir");
    }
    return value;
}

Status write(const fs::path& state, const Pushed& value) {
    return store(state, "pushed", {{"digest", value.digest}, {"references", value.references}});
}

Result<Pushed> read_pushed(const fs::path& state) {
    TRY_ASSIGN(const Json json, load(state, "pushed"));
    Pushed value;
    Members in(json, "pushed");
    in.text("digest", value.digest).texts("references", value.references);
    if (!in.problem().empty()) {
        return unusable("pushed", in.problem());
    }
    return value;
}

Status forget_from(const fs::path& state, std::string_view first) {
    const auto begin = std::find(kinds.begin(), kinds.end(), first);
    for (auto kind = begin; kind != kinds.end(); ++kind) {
        if (::unlink(path_of(state, *kind).c_str()) != 0 && errno != ENOENT) {
            return fail_errno("remove an old " + std::string(*kind) + ".json", errno);
        }
    }
    return {};
}

} // namespace slipway::handoff
