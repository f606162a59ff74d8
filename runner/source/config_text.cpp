#include "source/config_text.hpp"

#include "source/library.hpp"

#include <git2.h>
#include <git2/sys/config.h>

namespace slipway::source {
namespace {

std::unexpected<Error> malformed() {
    Error error = make_error(ErrorClass::build, code::git_failure, "not in git's configuration format");
    error.cause = take_error(-1).text;
    return fail(std::move(error));
}

} // namespace

Result<std::vector<ConfigEntry>> parse_config(std::string_view text) {
    TRY(ensure_library());
    git_config* raw = nullptr;
    if (git_config_new(&raw) < 0) {
        return malformed();
    }
    const Config config(raw);
    git_config_backend* backend = nullptr;
    if (git_config_backend_from_string(&backend, text.data(), text.size(), nullptr) < 0) {
        return malformed();
    }
    if (git_config_add_backend(raw, backend, GIT_CONFIG_LEVEL_LOCAL, nullptr, 0) < 0) {
        backend->free(backend);
        return malformed();
    }
    git_config_iterator* iterator = nullptr;
    if (git_config_iterator_new(&iterator, raw) < 0) {
        return malformed();
    }
    const std::unique_ptr<git_config_iterator, FreeWith<git_config_iterator_free>> owned(iterator);
    std::vector<ConfigEntry> entries;
    git_config_entry* each = nullptr;
    while (git_config_next(&each, iterator) == 0) {
        const std::string_view key = each->name; // section.name or section.sub.section.name
        const std::size_t first = key.find('.');
        const std::size_t last = key.rfind('.');
        if (first == std::string_view::npos) {
            continue;
        }
        entries.push_back(
            {.section = std::string(key.substr(0, first)),
             .subsection = std::string(first == last ? "" : key.substr(first + 1, last - first - 1)),
             .name = std::string(key.substr(last + 1)),
             .value = each->value == nullptr ? "" : each->value});
    }
    return entries;
}

} // namespace slipway::source
