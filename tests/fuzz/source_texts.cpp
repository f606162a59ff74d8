// Any bytes are a .gitmodules, a .gitconfig, a .netrc or a known_hosts: they are understood or passed over.
#include "hold.hpp"
#include "source/credential_files.hpp"
#include "source/known_hosts.hpp"
#include "source/netrc.hpp"
#include "source/submodule_file.hpp"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto modules = source::parse_gitmodules(text);
    hold(modules || (modules.error().where && !modules.error().message.empty()));
    if (modules) {
        for (const source::Submodule& each : *modules) {
            hold(!source::check_submodule_name(each.name) || !("/" + each.name + "/").contains("/../"));
            const auto url = source::resolve_submodule_url(each.url, "https://h/o/r.git");
            hold(!url || !each.url.starts_with("../") || url->starts_with("https://h/"));
        }
    }
    source::parse_git_config(text);
    source::parse_git_credentials(text);
    source::parse_ssh_config(text);
    source::key_is_encrypted(text);
    for (const source::CredentialEntry& each : source::parse_netrc(text)) {
        hold(!each.basic->password.empty());
    }
    static_cast<void>(source::HostKeys::for_host(text, "h", 22).check("x"));
    return 0;
}
