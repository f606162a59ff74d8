// Any bytes unpack within the limits or are an error that says why; what they leave is files, directories and
// links without set-id bits, below the target.
#include "archive/unpack.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "hold.hpp"

#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using namespace slipway;

/// On a memory file system where there is one.
const TemporaryDirectory& place() {
    static const TemporaryDirectory directory = *TemporaryDirectory::create(
        "fuzz-", ::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::path());
    return directory;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Fd bytes(::memfd_create("fuzz", MFD_CLOEXEC));
    if (!bytes || !write_all(bytes.get(), {reinterpret_cast<const char*>(data), size})) {
        return 0;
    }
    const fs::path inside = place().path() / "target";
    fs::create_directory(inside);
    archive::UnpackOptions options;
    options.limits = {.bytes = 1U << 20U, .entries = 64};
    {
        const auto target = open_directory(inside);
        const auto done = archive::unpack(bytes.get(), target->get(), options, {}, {});
        hold(done || (!done.error().message.empty() && done.error().klass != ErrorClass::internal));
        hold(!done || (done->entries <= options.limits.entries && done->bytes <= options.limits.bytes));
    }
    for (const auto& entry : fs::recursive_directory_iterator(inside)) {
        struct stat info{};
        ::lstat(entry.path().c_str(), &info);
        const bool plain = S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode);
        hold(plain && (S_ISLNK(info.st_mode) || (info.st_mode & 07000U) == 0));
    }
    for (const auto& entry : fs::directory_iterator(place().path())) {
        hold(entry.path().filename() == "target");
    }
    fs::remove_all(inside);
    return 0;
}
