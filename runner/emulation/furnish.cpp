#include "emulation/furnish.hpp"

#include "base/file.hpp"
#include "emulation/enclosure.hpp"

#include <cerrno>
#include <fcntl.h>
#include <format>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipway::emulation {

namespace {

namespace fs = std::filesystem;

Status mounted(int result, std::string_view what, const fs::path& where) {
    return result == 0 ? Status() : fail_errno(std::format("{} {}", what, where.native()), errno);
}

Status bind(const fs::path& from, const fs::path& to) {
    return mounted(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "bind", from);
}

Status small_tmpfs(const fs::path& at) {
    return mounted(::mount("tmpfs", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m"),
                   "mount tmpfs at", at);
}

/// Everything in `from`, in the empty directory `to`: directories and files by bind mounts with all that is
/// mounted below them, symlinks as they are.
Status show_entries(const fs::path& from, const fs::path& to) {
    std::error_code error;
    for (fs::directory_iterator entry(from, error), end; !error && entry != end; entry.increment(error)) {
        const fs::path target = to / entry->path().filename();
        const fs::file_type type = entry->symlink_status().type();
        if (type == fs::file_type::symlink) {
            fs::copy_symlink(entry->path(), target, error);
            continue;
        }
        if (type == fs::file_type::directory) {
            if (::mkdir(target.c_str(), 0755) != 0) {
                return fail_errno("mkdir " + target.native(), errno);
            }
        } else {
            const Fd file(::open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
        }
        TRY(bind(entry->path(), target));
    }
    if (error) {
        return fail_errno("read " + from.native(), error.value());
    }
    return {};
}

/// buildah's helper takes its home from the passwd file, not from its environment.
Status show_passwd(const fs::path& furniture, const fs::path& root) {
    const fs::path old = root / "etc/passwd";
    std::string text = std::format("root:x:0:0:root:{}:/bin/sh\n", (furniture / "home").native());
    const std::string others = read_file(old, 1U << 20U).value_or(std::string());
    for (std::string_view rest = others; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!line.starts_with("root:") && !line.contains(":x:0:")) {
            text += std::format("{}\n", line);
        }
    }
    const fs::path own = furniture / "passwd";
    TRY(write_file_atomic(own, text, 0644));
    return fs::exists(old) ? bind(own, old) : Status();
}

/// What buildah and its helpers write to by name, whatever their environment says.
Status make_writable(const fs::path& furniture, const fs::path& root) {
    for (const auto& [place, ours] : {std::pair{"tmp", "tmp"}, {"var/tmp", "tmp"}, {"run/lock", "run"}}) {
        const fs::path at = root / place;
        if (::access(at.c_str(), W_OK) != 0 &&
            (errno == EROFS || errno == EACCES || ::mkdir(at.c_str(), 0755) == 0)) {
            TRY(bind(furniture / ours, at));
        }
    }
    return {};
}

Status show_apt_configuration(const fs::path& root) {
    const fs::path old = root / "dev";
    const fs::path own = root / "dev.new";
    if (::mkdir(own.c_str(), 0755) != 0) {
        return fail_errno("mkdir " + own.native(), errno);
    }
    TRY(small_tmpfs(own));
    TRY(show_entries(old, own));
    const fs::path shown = own / fs::path(shown_directory).filename();
    TRY(make_directories(shown, 0755));
    TRY(write_file_atomic(shown / fs::path(apt_configuration).filename(), "APT::Sandbox::User \"root\";\n",
                          0644));
    return mounted(::mount(own.c_str(), old.c_str(), nullptr, MS_MOVE, nullptr), "move mount to", old);
}

} // namespace

Status furnish(const fs::path& furniture, bool show_apt) {
    TRY(mounted(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private below",
                "/"));
    const fs::path root = furniture / "room";
    TRY(small_tmpfs(root));
    TRY(show_entries("/", root));
    // The entry that holds the build's volume shows the new root once more, inside itself.
    ::umount2((root / (root.relative_path())).c_str(), MNT_DETACH);
    TRY(show_passwd(furniture, root));
    TRY(make_writable(furniture, root));
    if (show_apt) {
        TRY(show_apt_configuration(root));
    }
    std::error_code ignored;
    const fs::path here = fs::current_path(ignored);
    TRY(mounted(::chdir(root.c_str()), "enter", root));
    if (::syscall(SYS_pivot_root, ".", ".") == 0) {
        TRY(mounted(::umount2(".", MNT_DETACH), "leave", "/"));
    } else {
        // containerd's profile refuses that call to everybody. Moved over the old root, the new one is what
        // every path begins at just the same; the old one lies below it, out of reach.
        TRY(mounted(::mount(".", "/", nullptr, MS_MOVE, nullptr), "move over /", root));
        TRY(mounted(::chroot("."), "chroot to", root));
    }
    return mounted(::chdir(here.c_str()) == 0 ? 0 : ::chdir("/"), "enter", "/");
}

} // namespace slipway::emulation
