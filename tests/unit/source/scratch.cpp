#include "scratch.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <format>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace slipway::source::test {

std::string shell(const fs::path& directory, const std::string& line) {
    const std::string command = std::format(
        "cd '{}' && export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME='An Author' "
        "GIT_AUTHOR_EMAIL=author@example.com GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.com "
        "GIT_AUTHOR_DATE='1700000000 +0100' GIT_COMMITTER_DATE='1700000000 +0100' GIT_CONFIG_COUNT=1 "
        "GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' && {{ {}\n}} 2>&1",
        directory.string(), line);
    FILE* pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string output;
    std::array<char, 4096> buffer{};
    while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
        output.append(buffer.data(), n);
    }
    const int status = ::pclose(pipe);
    INFO(line << "\n" << output);
    REQUIRE(status == 0);
    while (output.ends_with('\n')) {
        output.pop_back();
    }
    return output;
}

Scratch::Scratch() : directory_(TemporaryDirectory::create("slipway-git-").value()) {
    fs::create_directories(work());
    fs::create_directories(path() / "served");
    shell(work(), R"(
        git init -q -b main . &&
        echo one >file && git add . && git commit -qm 'First commit' &&
        echo two >file && mkdir -p dir/deeper && echo x >dir/deeper/x && ln -s dir/deeper/x link &&
        printf '#!/bin/sh\n' >run && chmod +x run && head -c 300000 /dev/urandom >big && git add . && git commit -qm 'Second' &&
        git tag light && git tag -a annotated -m 'A tag' &&
        git checkout -q -b side && echo side >side && git add . && git commit -qm 'On the side' &&
        git checkout -q main &&
        echo three >file && git commit -qam 'Third commit

With a body.' &&
        git checkout -q --detach && echo hidden >hidden && git add . && git commit -qm Hidden &&
        git update-ref refs/pull/7/head HEAD && git checkout -q main &&
        git clone -q --mirror . ../served/repo.git)");
}

std::string Scratch::id(const std::string& revision) const {
    return shell(work(), "git rev-parse '" + revision + "^{commit}'");
}

GitOptions Scratch::options(std::string url, std::string revision) const {
    GitOptions options;
    options.url = std::move(url);
    options.revision = std::move(revision);
    options.into = path() / "tree";
    options.connect_timeout = Milliseconds(3000);
    options.stall_timeout = Milliseconds(10'000);
    options.retry.retries = 0;
    return options;
}

Child::Child(const std::vector<std::string>& argv) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    std::vector<char*> args;
    std::vector<std::string> texts = argv;
    for (std::string& text : texts) {
        args.push_back(text.data());
    }
    args.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::setpgid(0, 0);
        ::dup2(ends[1], STDOUT_FILENO);
        ::execvp(args.front(), args.data());
        ::_exit(127);
    }
    REQUIRE(pid_ > 0);
    ::close(ends[1]);
    output_ = Fd(ends[0]);
}

Child::~Child() {
    if (pid_ > 0) {
        ::kill(-pid_, SIGKILL);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

std::string Child::first_line() const {
    std::string line;
    for (;;) {
        pollfd polled{.fd = output_.get(), .events = POLLIN, .revents = 0};
        REQUIRE(::poll(&polled, 1, 10'000) == 1);
        char c = 0;
        REQUIRE(::read(output_.get(), &c, 1) == 1);
        if (c == '\n') {
            return line;
        }
        line += c;
    }
}

namespace {

std::vector<std::string> http_argv(const Scratch& scratch, const fs::path& log, const fs::path& pem) {
    std::vector<std::string> argv = {"python3", std::string(SLIPWAY_TEST_DIR) + "/source/servers/git_http.py",
                                     (scratch.path() / "served").string(), log.string()};
    if (!pem.empty()) {
        argv.push_back(pem.string());
    }
    return argv;
}

} // namespace

HttpServer::HttpServer(const Scratch& scratch, const std::string& log, const fs::path& pem)
    : log_(scratch.path() / log), child_(http_argv(scratch, log_, pem)), port_(child_.first_line()) {}

std::string HttpServer::url(const std::string& path) const {
    return "http://127.0.0.1:" + port_ + path;
}

std::string HttpServer::log() const {
    return read_file(log_).value_or("");
}

int free_port() {
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return ntohs(address.sin_port);
}

void await_port(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    for (int i = 0; i < 100; ++i) {
        const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    FAIL("nothing listens on port " << port);
}

} // namespace slipway::source::test
