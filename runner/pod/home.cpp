#include "pod/home.hpp"

#include "base/file.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

namespace slipway::pod {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "slipway-build.";
constexpr std::time_t birth_seconds = 60; ///< a younger directory without a marker may just be in the making

/// True = gone. Never follows a symlink out; what belongs to mapped ids cannot be removed from here.
bool remove_tree(const fs::path& path) noexcept {
    std::error_code error;
    fs::remove_all(path, error);
    return !fs::exists(fs::symlink_status(path, error));
}

bool abandoned(const fs::path& path) {
    struct stat entry{};
    if (::lstat(path.c_str(), &entry) != 0 || !S_ISDIR(entry.st_mode) || entry.st_uid != ::geteuid()) {
        return false;
    }
    const Fd marker(::open((path / "marker").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!marker) {
        return errno == ENOENT && std::time(nullptr) - entry.st_mtime > birth_seconds;
    }
    return ::flock(marker.get(), LOCK_EX | LOCK_NB) == 0;
}

std::uint64_t free_bytes(const fs::path& path) {
    struct statvfs room{};
    return ::statvfs(path.c_str(), &room) == 0 ? static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize
                                               : 0;
}

Error not_writable(const fs::path& work, int error) {
    if (error == ENOSPC || error == EDQUOT) {
        return errno_error("preparing " + work.native(), error);
    }
    Error result = make_error(ErrorClass::pod, code::pod_forbids,
                              std::format("the build's work directory {} cannot be written", work.native()),
                              "mount an emptyDir there (readOnlyRootFilesystem needs one)");
    result.cause = std::strerror(error);
    return result;
}

/// A string of TOML.
std::string quoted(const fs::path& path) {
    std::string text = "\"";
    for (const char c : path.native()) {
        if (c == '"' || c == '\\') {
            text += '\\';
        }
        text += c;
    }
    return text + '"';
}

Status furnish(const fs::path& path) {
    // A volume with an fsGroup is setgid: what is made in it belongs to a group that recipe B's user
    // namespace does not map, and buildah could not enter its own storage.
    if (::chown(path.c_str(), static_cast<uid_t>(-1), ::getegid()) != 0 || ::chmod(path.c_str(), 0700) != 0) {
        return fail(not_writable(path, errno));
    }
    for (const char* name : {"home", "run", "tmp", "graph", "runroot", "helpers", "room", "home/.config",
                             "home/.local", "home/.cache"}) {
        if (::mkdir((path / name).c_str(), 0700) != 0) {
            return fail(not_writable(path, errno));
        }
    }
    // Never run: chroot isolation makes no network. buildah only wants to find it.
    TRY(write_file_atomic(path / "helpers/netavark", "#!/bin/false\n", 0700));
    return write_file_atomic(
        path / "containers.conf",
        std::format("[engine]\nhelper_binaries_dir = [\"/usr/local/libexec/podman\", "
                    "\"/usr/local/lib/podman\", \"/usr/libexec/podman\", \"/usr/lib/podman\", {}]\n",
                    quoted(path / "helpers")),
        0600);
}

} // namespace

Home::Home(fs::path path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

Home::Home(Home&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)),
      leftovers_(std::move(other.leftovers_)), reclaimed_(other.reclaimed_) {}

Home& Home::operator=(Home&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, {});
        lock_ = std::move(other.lock_);
        leftovers_ = std::move(other.leftovers_);
        reclaimed_ = other.reclaimed_;
    }
    return *this;
}

Home::~Home() {
    remove();
}

bool Home::remove() noexcept {
    if (path_.empty()) {
        return true;
    }
    if (!remove_tree(path_)) {
        return false;
    }
    lock_.reset();
    path_.clear();
    return true;
}

Result<Home> Home::prepare(const fs::path& work) {
    if (!work.is_absolute() || work.native().find_first_of("\n\r") != std::string::npos) {
        return fail_usage("the work directory must be an absolute path");
    }
    if (const Status made = make_directories(work, 0700); !made) {
        Error error = made.error();
        if (error.klass != ErrorClass::resource) {
            error = not_writable(work, EACCES);
            error.cause = made.error().cause;
        }
        return fail(std::move(error));
    }
    std::vector<fs::path> leftovers;
    const std::uint64_t before = free_bytes(work);
    std::error_code error;
    std::vector<fs::path> found;
    for (fs::directory_iterator entry(work, error), end; !error && entry != end; entry.increment(error)) {
        if (entry->path().filename().native().starts_with(prefix)) {
            found.push_back(entry->path());
        }
    }
    for (const fs::path& path : found) {
        if (abandoned(path) && !remove_tree(path)) {
            leftovers.push_back(path);
        }
    }
    const std::uint64_t after = free_bytes(work);

    std::string name = (work / (std::string(prefix) + "XXXXXX")).native();
    if (::mkdtemp(name.data()) == nullptr) {
        return fail(not_writable(work, errno));
    }
    const fs::path path = name;
    Fd lock(::open((path / "marker").c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) {
        const int reason = errno;
        remove_tree(path);
        return fail(not_writable(work, reason));
    }
    // On a file system without locks the directory just looks abandoned to others: no reason to stop.
    static_cast<void>(::flock(lock.get(), LOCK_EX | LOCK_NB));
    Home home(path, std::move(lock));
    home.leftovers_ = std::move(leftovers);
    home.reclaimed_ = after > before && !found.empty() ? after - before : 0;
    TRY(furnish(path));
    return home;
}

std::vector<std::pair<std::string, std::string>> Home::environment() const {
    return {{"HOME", home().native()},
            {"XDG_RUNTIME_DIR", runtime().native()},
            {"XDG_CONFIG_HOME", (home() / ".config").native()},
            {"XDG_DATA_HOME", (home() / ".local").native()},
            {"XDG_CACHE_HOME", (home() / ".cache").native()},
            {"TMPDIR", tmp().native()},
            {"CONTAINERS_CONF_OVERRIDE", (path_ / "containers.conf").native()}};
}

} // namespace slipway::pod
