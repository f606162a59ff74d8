#include "pod/report.hpp"

#include "base/clock.hpp"
#include "base/encoding.hpp"
#include "pod/prerequisite.hpp"

#include <cstring>
#include <format>
#include <nlohmann/json.hpp>

namespace slipway::pod {

namespace {

using Json = nlohmann::ordered_json;

struct Named {
    const char* name;
    const Trial* trial;
};

std::vector<Named> trials(const Report& report) {
    return {{"user_namespace", &report.user_namespace},
            {"user_mount_namespace", &report.user_mount_namespace},
            {"user_pid_namespace", &report.user_pid_namespace},
            {"mount_namespace", &report.mount_namespace},
            {"identity_uid_map", &report.identity_uid_map},
            {"identity_gid_map", &report.identity_gid_map},
            {"newuidmap", &report.newuidmap},
            {"newgidmap", &report.newgidmap},
            {"single_map", &report.single_map},
            {"setgroups", &report.setgroups},
            {"chroot", &report.chroot},
            {"mount_private", &report.mount_private},
            {"tmpfs", &report.tmpfs},
            {"overlay", &report.overlay},
            {"overlay_whiteout", &report.overlay_whiteout},
            {"change_owner", &report.change_owner},
            {"proc", &report.proc},
            {"keyring", &report.keyring},
            {"hostname", &report.hostname},
            {"cgroup", &report.cgroup},
            {"fuse_device", &report.fuse_device},
            {"seccomp_filter", &report.seccomp_filter},
            {"seccomp_listener", &report.seccomp_listener},
            {"user_xattr", &report.user_xattr}};
}

std::string outcome(const Trial& trial) {
    switch (trial.outcome) {
    case Trial::Outcome::untried: return "untried";
    case Trial::Outcome::works: return "works";
    case Trial::Outcome::refused: return "refused";
    }
    return "untried";
}

Json ranges(const std::vector<IdRange>& list) {
    Json result = Json::array();
    for (const IdRange& range : list) {
        result.push_back({{"inside", range.inside}, {"outside", range.outside}, {"count", range.count}});
    }
    return result;
}

Json file_system(const FileSystem& at) {
    return {{"path", at.path.native()},
            {"exists", at.exists},
            {"type", at.type},
            {"writable", at.writable},
            {"free_bytes", at.free_bytes},
            {"total_bytes", at.total_bytes},
            {"free_inodes", at.free_inodes},
            {"total_inodes", at.total_inodes}};
}

template <class T> void put(Json& object, const char* name, const std::optional<T>& value) {
    if (value) {
        object[name] = *value;
    }
}

std::string file_system_line(const char* what, const FileSystem& at) {
    if (!at.exists) {
        return std::format("  {:<22} {} does not exist\n", what, at.path.native());
    }
    return std::format("  {:<22} {}: {}, {} free of {}, {} inodes free{}\n", what, at.path.native(), at.type,
                       humane_bytes(at.free_bytes), humane_bytes(at.total_bytes), at.free_inodes,
                       at.writable ? "" : ", NOT writable");
}

Json entries(const std::vector<const Prerequisite*>& list) {
    Json result = Json::array();
    for (const Prerequisite* entry : list) {
        Json texts = Json::array();
        for (const std::string_view text : entry->texts) {
            texts.push_back(text);
        }
        result.push_back({{"id", entry->id},
                          {"sentence", entry->sentence},
                          {"yaml", entry->yaml},
                          {"buildah_texts", std::move(texts)}});
    }
    return result;
}

std::string indented(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        result += std::format("      {}\n", text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

} // namespace

std::string render_text(const Report& report, const Result<Recipe>& recipe) {
    std::string text;
    if (recipe) {
        text += std::format("This pod can build: recipe {}, {} isolation, {} storage\n", recipe->name,
                            recipe->isolation, recipe->storage);
        for (const Advice& warning : recipe->warnings) {
            text += std::format("  warning: {}\n{}", warning.message, indented(warning.hint));
        }
    } else {
        text += std::format("{}\n{}", recipe.error().message, indented(recipe.error().hint));
        for (const Prerequisite* entry : missing(report)) {
            text += std::format("  missing: {} ({})\n", entry->sentence, entry->id);
        }
    }
    text += "\nRecipes\n";
    for (const std::string_view name : recipe_names()) {
        const auto obstacles = missing_for(report, name);
        text += std::format("  {:<9} {}\n", name,
                            !obstacles.empty()               ? "not here"
                            : recipe && recipe->name == name ? "possible, chosen"
                                                             : "possible");
        for (const Prerequisite* entry : obstacles) {
            text += std::format("    {}\n", entry->sentence);
            for (const std::string_view buildah : entry->texts) {
                text += std::format("    buildah would say: {}\n", buildah);
            }
            text += indented(entry->yaml);
        }
    }
    text += "\nWho we are\n";
    text += std::format("  {:<22} {}{}, group {}\n", "user", report.uid,
                        report.user.empty() ? " (no passwd entry)" : " " + report.user, report.gid);
    text += std::format("  {:<22} {:#x}, bounding {:#x}\n", "capabilities", report.capabilities.effective,
                        report.capabilities.bounding);
    text += std::format("  {:<22} {}\n", "no_new_privs", report.no_new_privs ? "set" : "not set");
    text += std::format("  {:<22} {}\n", "seccomp",
                        report.seccomp == 0   ? "none"
                        : report.seccomp == 1 ? "strict"
                                              : "filter");
    text += std::format("  {:<22} {}\n", "landlock",
                        report.landlock == 0 ? "none" : std::format("version {}", report.landlock));
    if (!report.apparmor.empty()) {
        text += std::format("  {:<22} {}\n", "apparmor", report.apparmor);
    }
    text += std::format("  {:<22} {}{}\n", "ids mapped", report.id_width(),
                        report.in_user_namespace() ? " (in a user namespace)" : "");
    text +=
        std::format("  {:<22} {}\n", "root file system", report.read_only_root ? "read-only" : "writable");
    text += std::format("  {:<22} {} uid ranges, {} gid ranges\n", "subordinate ids",
                        report.subordinate_uids.size(), report.subordinate_gids.size());
    text += std::format("\nWhat was tried (storage trials entered by: {})\n", to_string(report.entry));
    for (const auto& [name, trial] : trials(report)) {
        text +=
            std::format("  {:<22} {}{}\n", name, outcome(*trial),
                        trial->refused() ? std::format(": {}: {}", trial->what, std::strerror(trial->error))
                        : trial->works() || trial->what.empty() ? ""
                                                                : " (" + trial->what + ")");
    }
    text += "\nRoom\n";
    text += file_system_line("work", report.work);
    if (!report.state.path.empty()) {
        text += file_system_line("state", report.state);
    }
    text += std::format("  {:<22} {}\n", "memory",
                        report.memory.version == 0
                            ? "no memory cgroup readable"
                            : std::format("{} used, limit {} (cgroup v{})",
                                          humane_bytes(report.memory.current.value_or(0)),
                                          report.memory.limit ? humane_bytes(*report.memory.limit) : "none",
                                          report.memory.version));
    return to_valid_utf8(text);
}

std::string render_json(const Report& report, const Result<Recipe>& recipe) {
    Json root;
    root["doctor"] = 1;
    root["can_build"] = recipe.has_value();
    if (recipe) {
        Json chosen{{"name", recipe->name},
                    {"reason", recipe->reason},
                    {"isolation", recipe->isolation},
                    {"storage", recipe->storage},
                    {"driver", recipe->driver},
                    {"storage_options", recipe->storage_options},
                    {"layers", recipe->layers},
                    {"disk_factor", recipe->disk_factor},
                    {"drop_capabilities", recipe->drop_capabilities},
                    {"ulimits", recipe->ulimits}};
        chosen["warnings"] = Json::array();
        for (const Advice& warning : recipe->warnings) {
            chosen["warnings"].push_back(
                {{"code", warning.code}, {"message", warning.message}, {"hint", warning.hint}});
        }
        root["recipe"] = std::move(chosen);
    } else {
        const Error& error = recipe.error();
        root["error"] = {{"code", error.code},
                         {"class", to_string(error.klass)},
                         {"message", error.message},
                         {"cause", error.cause},
                         {"hint", error.hint}};
    }
    root["missing"] = entries(missing(report));
    root["limits"] = entries(limits(report));
    root["recipes"] = Json::array();
    for (const std::string_view name : recipe_names()) {
        const auto obstacles = missing_for(report, name);
        root["recipes"].push_back(
            {{"name", name}, {"possible", obstacles.empty()}, {"missing", entries(obstacles)}});
    }
    root["user"] = {{"uid", report.uid}, {"gid", report.gid}, {"name", report.user}};
    root["capabilities"] = {{"effective", std::format("{:016x}", report.capabilities.effective)},
                            {"permitted", std::format("{:016x}", report.capabilities.permitted)},
                            {"bounding", std::format("{:016x}", report.capabilities.bounding)}};
    root["no_new_privs"] = report.no_new_privs;
    root["seccomp"] = report.seccomp;
    root["landlock"] = report.landlock;
    root["apparmor"] = report.apparmor;
    root["open_files_limit"] = report.open_files_limit;
    root["processes_limit"] = report.processes_limit;
    root["uid_map"] = ranges(report.uid_map);
    root["gid_map"] = ranges(report.gid_map);
    root["in_user_namespace"] = report.in_user_namespace();
    root["subordinate_uids"] = ranges(report.subordinate_uids);
    root["subordinate_gids"] = ranges(report.subordinate_gids);
    root["entry"] = to_string(report.entry);
    for (const auto& [name, trial] : trials(report)) {
        Json entry{{"outcome", outcome(*trial)}};
        if (trial->refused()) {
            entry["errno"] = trial->error;
            entry["error"] = std::strerror(trial->error);
        }
        if (!trial->what.empty()) {
            entry["what"] = trial->what;
        }
        root["trials"][name] = std::move(entry);
    }
    root["fuse_overlayfs"] = report.fuse_overlayfs;
    root["oci_runtime"] = report.oci_runtime;
    root["read_only_root"] = report.read_only_root;
    root["work"] = file_system(report.work);
    root["state"] = file_system(report.state);
    Json memory{{"cgroup", report.memory.version}};
    put(memory, "limit", report.memory.limit);
    put(memory, "current", report.memory.current);
    put(memory, "working_set", report.memory.working_set);
    put(memory, "oom_kills", report.memory.oom_kills);
    put(memory, "pressure", report.memory.pressure);
    root["memory"] = std::move(memory);
    root["took_ms"] = report.took.count();
    return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace slipway::pod
