// Git LFS: getting the content that pointers stand for, and putting it in their place.
//
// Inputs: a directory with pointers in it, their paths, a way to the server. Output: the same directory with
// content instead. Every object is fetched once, however many files have it; its size and SHA-256 are checked
// while it streams; it appears under its name whole or not at all. Errors: server.hpp's and download.hpp's,
// and
//   build  gitcheckout  the server has not got an object, or a pointer went through extensions
// Transient ones are retried here. After an error some files may hold content and others pointers: the caller
// throws the tree away.
#pragma once

#include "lfs/pointer.hpp"
#include "lfs/server.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace slipway::lfs {

struct File {
    std::string path; ///< relative to the tree
    Pointer pointer;
};

struct Options {
    std::filesystem::path tree;
    std::filesystem::path scratch; ///< existing directory on the tree's volume for what is not whole yet
    ServerOptions server;
    int connections = 4;
    /// Bytes there, bytes in all; called from several threads, one at a time.
    std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

struct Summary {
    std::uint64_t objects = 0;      ///< fetched
    std::uint64_t bytes = 0;        ///< of them
    std::vector<std::string> paths; ///< files that hold content now
};

/// `files` that are no longer there as regular files are passed over.
Result<Summary> fetch(const std::vector<File>& files, const Options& options, const StopToken& stop);

} // namespace slipway::lfs
