#include "source/checkout_writer.hpp"

#include "base/file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace slipway::source {
namespace {

constexpr unsigned most_threads = 4;
constexpr std::size_t batch = 32; // neighbours: they mostly share a directory

constexpr std::string_view lfs_attribute = "filter=lfs";
constexpr std::size_t longest_attributes = 1U << 20U;
constexpr std::string_view lfs_head = "version https://git-lfs.github.com/spec/v1\n";
constexpr std::size_t longest_lfs_pointer = 1024; // as the LFS specification has it

/// What the system said to a name of the repository's. Some refusals are the name's fault.
LibraryError refused(std::string_view path, int err) {
    LibraryError error = system_error(path, err);
    if (err == ENAMETOOLONG || err == EINVAL || err == EILSEQ || err == EEXIST || err == ENOTDIR) {
        error.klass = GIT_ERROR_CHECKOUT;
    }
    return error;
}

} // namespace

bool names_lfs_filter(std::string_view attributes) {
    return attributes.size() <= longest_attributes && attributes.contains(lfs_attribute);
}

bool looks_like_lfs_pointer(std::string_view content) {
    return content.size() > lfs_head.size() && content.size() <= longest_lfs_pointer &&
           content.starts_with(lfs_head);
}

std::expected<void, int> create_file(int directory, const std::string& name, std::uint32_t mode,
                                     std::string_view content, struct stat& info) {
    Fd file(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644));
    if (!file) {
        return std::unexpected(errno);
    }
    int err = 0;
    while (err == 0 && !content.empty()) {
        const ssize_t n = ::write(file.get(), content.data(), content.size());
        if (n >= 0) {
            content.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno != EINTR) {
            err = errno;
        }
    }
    if (err == 0 && ::fstat(file.get(), &info) != 0) {
        err = errno;
    }
    // close(2) is where some file systems report that nothing was written after all.
    if (::close(file.release()) != 0 && err == 0) {
        err = errno;
    }
    if (err != 0) {
        ::unlinkat(directory, name.c_str(), 0);
        return std::unexpected(err);
    }
    return {};
}

std::expected<CheckoutFacts, LibraryError> CheckoutWriter::run(std::span<const CheckoutItem> items,
                                                               const EarlyFiles* early,
                                                               const CheckoutFacts& written) {
    items_ = items;
    early_ = early;
    facts_ = written;
    early_count_ = written.files;
    TRY(make_directories());
    TRY(write_files());
    TRY(write_links());
    tell();
    return facts_;
}

CheckoutWriter::Done CheckoutWriter::make_directories() {
    const auto make = [this](const std::string& path) -> Done {
        if (early_ != nullptr && early_->made(path)) {
            return {};
        }
        if (::mkdirat(root_, path.c_str(), 0755) != 0) {
            return std::unexpected(refused(path, errno));
        }
        return {};
    };
    std::string_view last;
    for (const CheckoutItem& item : items_) {
        const std::string_view path = index_.path(item.entry);
        if (const std::string_view directory = path.substr(0, item.directory); directory != last) {
            const auto differs = std::ranges::mismatch(directory, last).in1;
            std::size_t at = static_cast<std::size_t>(differs - directory.begin());
            // What the two have in common ends behind a slash.
            at = at == 0 ? 0 : directory.substr(0, at).find_last_of('/') + 1;
            while ((at = directory.find('/', at)) != std::string_view::npos) {
                TRY(make(std::string(directory.substr(0, at))));
                ++at;
            }
            last = directory;
            if (watch_.stop.requested()) {
                return std::unexpected(stopped_error());
            }
        }
        if (item.mode == GIT_FILEMODE_COMMIT) {
            TRY(make(std::string(path)));
            struct stat info{};
            if (::fstatat(root_, std::string(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
                return std::unexpected(refused(path, errno));
            }
            index_.set_stat(item.entry, FileStat(info));
        }
    }
    return {};
}

CheckoutWriter::Done CheckoutWriter::write_files() {
    const std::size_t threads = std::min<std::size_t>(
        std::clamp(std::thread::hardware_concurrency(), 1U, most_threads), items_.size() / batch + 1);
    std::vector<Worker> workers(threads);
    {
        std::vector<std::jthread> others;
        others.reserve(threads - 1);
        for (std::size_t i = 1; i < threads; ++i) {
            try {
                others.emplace_back([this, &worker = workers[i]] { work(worker, false); });
            } catch (const std::system_error&) {
                break; // a pod with few processes left: those there are do it all
            }
        }
        work(workers[0], true);
    }
    if (failed_) {
        return std::unexpected(error_);
    }
    for (const Worker& worker : workers) {
        facts_.files += worker.facts.files;
        facts_.bytes += worker.facts.bytes;
        facts_.lfs_pointers += worker.facts.lfs_pointers;
    }
    return {};
}

void CheckoutWriter::work(Worker& worker, bool tells) {
    for (std::size_t first = 0; (first = next_.fetch_add(batch)) < items_.size();) {
        for (const CheckoutItem& item : items_.subspan(first, std::min(batch, items_.size() - first))) {
            if (failed_.load(std::memory_order_relaxed)) {
                return;
            }
            if (watch_.stop.requested()) {
                return fail_with(stopped_error());
            }
            if (item.mode == GIT_FILEMODE_LINK) {
                continue; // later
            }
            if (item.mode != GIT_FILEMODE_COMMIT) {
                if (Done written = write_file(worker, item); !written) {
                    return fail_with(std::move(written).error());
                }
            }
            done_.fetch_add(1, std::memory_order_relaxed);
            if (tells) {
                tell();
            }
        }
    }
}

CheckoutWriter::Done CheckoutWriter::write_file(Worker& worker, const CheckoutItem& item) {
    const std::string_view path = index_.path(item.entry);
    const git_oid id = index_.id(item.entry);
    git_odb_object* object = nullptr;
    if (const int rc = git_odb_read(&object, objects_, &id); rc < 0) {
        return std::unexpected(take_error(rc));
    }
    const DatabaseObject owned(object);
    if (git_odb_object_type(object) != GIT_OBJECT_BLOB) {
        return std::unexpected(
            library_error(GIT_ERROR_CHECKOUT, "not a file's content: " + std::string(path)));
    }
    const std::string_view stored = content_of(*object);
    if (looks_like_lfs_pointer(stored)) {
        ++worker.facts.lfs_pointers;
    }
    if (path.substr(item.directory) == ".gitattributes" && names_lfs_filter(stored)) {
        uses_lfs_ = true;
    }
    if (rules_.convert) {
        TRY_ASSIGN(const std::optional<std::string> converted, rules_.convert(path, stored));
        return write_content(worker, item, converted ? std::string_view(*converted) : stored);
    }
    return write_content(worker, item, stored);
}

CheckoutWriter::Done CheckoutWriter::enter(Worker& worker, const CheckoutItem& item) {
    const std::string_view directory = index_.path(item.entry).substr(0, item.directory);
    if (worker.directory && worker.path == directory) {
        return {};
    }
    Result<Fd> opened =
        open_beneath(root_, directory.empty() ? "." : directory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) {
        return std::unexpected(library_error(GIT_ERROR_OS, opened.error().cause));
    }
    worker.directory = std::move(*opened);
    worker.path = directory;
    return {};
}

CheckoutWriter::Done CheckoutWriter::write_content(Worker& worker, const CheckoutItem& item,
                                                   std::string_view content) {
    TRY(enter(worker, item));
    const std::string_view path = index_.path(item.entry);
    struct stat info{};
    const auto created = create_file(worker.directory.get(), std::string(path.substr(item.directory)),
                                     item.mode, content, info);
    if (!created) {
        return std::unexpected(refused(path, created.error()));
    }
    index_.set_stat(item.entry, FileStat(info));
    ++worker.facts.files;
    worker.facts.bytes += content.size();
    return {};
}

CheckoutWriter::Done CheckoutWriter::write_links() {
    Worker worker;
    for (const CheckoutItem& item : items_) {
        if (item.mode != GIT_FILEMODE_LINK) {
            continue;
        }
        if (watch_.stop.requested()) {
            return std::unexpected(stopped_error());
        }
        const std::string_view path = index_.path(item.entry);
        const git_oid id = index_.id(item.entry);
        git_odb_object* object = nullptr;
        if (const int rc = git_odb_read(&object, objects_, &id); rc < 0) {
            return std::unexpected(take_error(rc));
        }
        const DatabaseObject owned(object);
        const std::string target(content_of(*object));
        if (git_odb_object_type(object) != GIT_OBJECT_BLOB || target.empty() || target.contains('\0')) {
            return std::unexpected(
                library_error(GIT_ERROR_CHECKOUT, "no link can lead there: " + std::string(path)));
        }
        TRY(enter(worker, item));
        struct stat info{};
        const char* name = path.data() + item.directory;
        if (::symlinkat(target.c_str(), worker.directory.get(), name) != 0 ||
            ::fstatat(worker.directory.get(), name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return std::unexpected(refused(path, errno));
        }
        index_.set_stat(item.entry, FileStat(info));
        ++facts_.files;
        facts_.bytes += target.size();
        ++done_;
        tell();
    }
    return {};
}

void CheckoutWriter::fail_with(LibraryError error) {
    const std::scoped_lock lock(mutex_);
    if (!failed_.exchange(true)) {
        error_ = std::move(error);
    }
}

void CheckoutWriter::tell() const {
    if (watch_.on_checkout) {
        watch_.on_checkout(early_count_ + done_.load(std::memory_order_relaxed),
                           early_count_ + items_.size());
    }
}

} // namespace slipway::source
