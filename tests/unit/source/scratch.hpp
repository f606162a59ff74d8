// What the git tests stand on: a scratch directory, repositories made with the git program, servers as
// children.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "source/git.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace slipway::source::test {

namespace fs = std::filesystem;

/// Runs a shell line in `directory` with git's environment pinned; its output. A failure fails the test.
std::string shell(const fs::path& directory, const std::string& line);

/// A directory with `work` (a repository) and `served/repo.git` (bare): three commits on main, a branch
/// `side`, a light tag, an annotated tag, a commit no branch holds (`hidden` ref), a symlink, an executable.
class Scratch {
  public:
    Scratch();
    [[nodiscard]] fs::path path() const { return directory_.path(); }
    [[nodiscard]] fs::path work() const { return path() / "work"; }
    [[nodiscard]] fs::path bare() const { return path() / "served" / "repo.git"; }
    [[nodiscard]] std::string id(const std::string& revision) const;
    /// Options with short time-outs, without retries, into a fresh `tree`.
    [[nodiscard]] GitOptions options(std::string url, std::string revision = {}) const;

  private:
    TemporaryDirectory directory_;
};

/// A child that is ended with the object.
class Child {
  public:
    explicit Child(const std::vector<std::string>& argv);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    /// First line of its output, waited for at most 10 s.
    [[nodiscard]] std::string first_line() const;

  private:
    pid_t pid_ = -1;
    Fd output_;
};

class HttpServer {
  public:
    explicit HttpServer(const Scratch& scratch, const std::string& log = "http.log",
                        const fs::path& pem = {});
    [[nodiscard]] std::string url(const std::string& path) const;
    [[nodiscard]] std::string port() const { return port_; }
    [[nodiscard]] std::string log() const;

  private:
    fs::path log_;
    Child child_;
    std::string port_;
};

/// A loopback port nobody listens on at this moment.
int free_port();

/// Waits until something accepts on the port, at most 10 s.
void await_port(int port);

} // namespace slipway::source::test
