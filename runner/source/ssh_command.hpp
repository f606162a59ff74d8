// One command on a server over SSH, with the credentials, host-key policy, stop token and time-outs of a
// fetch.
//
// Straight on libssh2: libgit2 runs git's own commands only. Errors are those of fetch_git for the connection
// (auth/gitauth, network/gitfailure, cancelled, …); a command that ends with another status than 0 is none.
#pragma once

#include "source/git.hpp"

#include <cstddef>
#include <string>

namespace slipway::source {

struct SshAnswer {
    int exit = 0;    ///< 0..255; -1 = it ended by a signal or without saying how
    std::string out; ///< at most `longest_ssh_answer` bytes; more is an error of class build
    std::string err; ///< its first 4 KiB
};

inline constexpr std::size_t longest_ssh_answer = std::size_t{256} << 10U;

/// Uses of `options`: url (ssh), credentials, time-outs. Of `callbacks`: on_host_key. Tries once.
Result<SshAnswer> run_ssh_command(const GitOptions& options, const std::string& command,
                                  const GitCallbacks& callbacks, const StopToken& stop);

} // namespace slipway::source
