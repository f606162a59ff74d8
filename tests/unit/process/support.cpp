#include "support.hpp"

#include "base/file.hpp"

#include <csignal>

namespace slipway::process::test {

bool is_alive(pid_t pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return stat && !stat->substr(stat->rfind(')')).starts_with(") Z");
}

} // namespace slipway::process::test
