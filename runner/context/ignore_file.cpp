#include "context/ignore_file.hpp"

#include "base/file.hpp"
#include "context/ignore.hpp"
#include "context/inside.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace slipway::context {

namespace {

std::unexpected<Error> unusable(const std::string& path, std::string message, std::string hint) {
    Error error = make_error(ErrorClass::build, code::context_issue, std::move(message), std::move(hint));
    error.where = Where{.file = path, .line = 0, .column = 0, .quote = {}};
    return fail(std::move(error));
}

Result<IgnoreFile> read_ignore_file(int fd, std::string path) {
    struct stat info{};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return unusable(path, path + " is not a regular file", "an ignore file holds one pattern a line");
    }
    IgnoreFile file{.path = std::move(path)};
    auto content = read_all(fd, IgnoreRules::largest_file);
    if (content) {
        file.content = std::move(*content);
    } else if (content.error().klass == ErrorClass::build) {
        file.too_large = true;
    } else {
        return fail(std::move(content).error());
    }
    return file;
}

} // namespace

Result<std::optional<IgnoreFile>> find_ignore_file(int source, int context_fd, const std::string& context,
                                                   const std::string& dockerfile) {
    for (const char* suffix : {".dockerignore", ".containerignore"}) {
        const std::string path = dockerfile + suffix;
        const auto fd = open_beneath(source, path, O_RDONLY | O_NONBLOCK);
        if (fd) {
            return read_ignore_file(fd->get(), path);
        }
        const std::string& cause = fd.error().cause;
        if (cause.ends_with("No such file or directory") || cause.ends_with("symbolic links") ||
            cause.ends_with("File name too long")) {
            continue; // a link to nowhere is not there for buildah either
        }
        Error error = fd.error();
        error.where = Where{.file = path, .line = 0, .column = 0, .quote = {}};
        return fail(std::move(error));
    }
    for (const char* name : {".containerignore", ".dockerignore"}) {
        const std::string path = context == "." ? name : context + '/' + name;
        const Opened opened = open_inside(context_fd, name, O_RDONLY | O_NONBLOCK);
        if (opened.fd) {
            return read_ignore_file(opened.fd.get(), path);
        }
        if (opened.failure != ENOENT) {
            return unusable(path, path + " cannot be read", "make it a readable file, or remove it");
        }
    }
    return std::nullopt;
}

} // namespace slipway::context
