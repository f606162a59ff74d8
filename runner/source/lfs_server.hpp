// Which Git LFS server a repository's objects are on, found as git-lfs finds it (its
// docs/api/server-discovery.md).
//
// In this order: lfs.url and remote.origin.lfsurl of .lfsconfig, the remote's own URL with ".git/info/lfs"
// behind it, and over ssh what `git-lfs-authenticate` says. .lfsconfig is the repository's author's word:
// http, https and ssh only. Pure. Error: build/gitcheckout.
#pragma once

#include "base/result.hpp"
#include "source/git.hpp"

#include <string>

namespace slipway::source {

struct LfsServer {
    std::string url;         ///< http or https; over ssh: what holds where git-lfs-authenticate names no href
    std::string ssh_url;     ///< where to run `ssh_command`; empty = nowhere
    std::string ssh_command; ///< "git-lfs-authenticate 'path' download"
};

/// `configured` is .lfsconfig's word or empty, `remote` the URL fetched from.
Result<LfsServer> find_lfs_server(const std::string& configured, const std::string& remote);

/// Are credentials that name no host, given for the fetch from `remote`, meant for `url` too? Yes at the same
/// origin; and from ssh, git and plain http at the same host's https. Never down from https.
bool is_same_service(const std::string& remote, const std::string& url);

} // namespace slipway::source
