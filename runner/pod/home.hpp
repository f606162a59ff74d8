// A scratch home for buildah: every directory it writes to, below one of our own, so that a read-only root
// file system and a user without a passwd entry are no obstacle to pull and push.
//
// buildah's chroot helper forgets this environment: what it wants besides (a home with .config by the passwd
// file, a writable /tmp, a root file system it may remount) is seen to by the enclosure buildah runs in
// (emulation/), for which `room` is kept empty.
//
// buildah 1.39 refuses every command when it finds no `netavark`, even where no network is ever made (chroot
// isolation): `helpers/netavark` is a stand-in, found only after the system's own directories.
//
// Layout below `work`:
// slipway-build.<random>/{marker,containers.conf,helpers,home,room,run,tmp,graph,runroot}, 0700. The marker
// is locked for as long as the Home lives; a directory whose marker nobody locks is a leftover of a run that
// died, and is removed by the next prepare(). Errors: resource/outofdisk, pod/podforbids when `work` cannot
// be written.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace slipway::pod {

class Home {
  public:
    static Result<Home> prepare(const std::filesystem::path& work);

    Home(Home&& other) noexcept;
    Home& operator=(Home&& other) noexcept;
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    /// Removes what it can (see remove()).
    ~Home();

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::filesystem::path home() const { return path_ / "home"; }
    [[nodiscard]] std::filesystem::path runtime() const { return path_ / "run"; }
    [[nodiscard]] std::filesystem::path tmp() const { return path_ / "tmp"; }
    [[nodiscard]] std::filesystem::path graph_root() const { return path_ / "graph"; }
    [[nodiscard]] std::filesystem::path run_root() const { return path_ / "runroot"; }
    /// For buildah's --short-name-alias-conf.
    [[nodiscard]] std::filesystem::path short_names() const { return path_ / "home/short-name-aliases.conf"; }
    /// HOME, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME, TMPDIR,
    /// CONTAINERS_CONF_OVERRIDE.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> environment() const;

    /// Leftovers of earlier runs that only another user namespace could remove (files of mapped ids).
    [[nodiscard]] const std::vector<std::filesystem::path>& leftovers() const noexcept { return leftovers_; }
    /// Bytes of leftovers removed by prepare().
    [[nodiscard]] std::uint64_t reclaimed() const noexcept { return reclaimed_; }

    /// Removes the directory now; false = something stayed, because it belongs to mapped ids: remove path()
    /// in a user namespace that has them, then call this again.
    bool remove() noexcept;

  private:
    Home(std::filesystem::path path, Fd lock);
    std::filesystem::path path_;
    Fd lock_;
    std::vector<std::filesystem::path> leftovers_;
    std::uint64_t reclaimed_ = 0;
};

} // namespace slipway::pod
