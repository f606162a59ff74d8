#include "registry/layout.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "digest/sha256.hpp"

#include <algorithm>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>

namespace slipway::registry {

namespace {

constexpr std::size_t most_blobs = 16384;

bool is_foreign(std::string_view media_type) {
    return media_type.contains(".foreign.") || media_type.contains(".nondistributable.");
}

Status collect(const Layout& layout, std::string_view digest, std::string_view declared, int depth,
               std::set<std::string, std::less<>>& seen, UploadPlan& plan) {
    if (!seen.insert(std::string(digest)).second) {
        return {};
    }
    TRY_ASSIGN(std::string body, layout.document(digest));
    auto document = parse_document(body, declared);
    if (!document) {
        return fail(layout_error(document.error().message));
    }
    if (document->is_index) {
        if (depth >= 2) {
            return fail(layout_error("its indexes are nested too deeply"));
        }
        for (const Descriptor& child : document->manifests) {
            TRY(collect(layout, child.digest, child.media_type, depth + 1, seen, plan));
        }
    } else {
        std::vector<Descriptor> blobs = document->layers;
        blobs.push_back(document->config);
        for (Descriptor& blob : blobs) {
            if (is_foreign(blob.media_type) || !seen.insert(blob.digest).second) {
                continue;
            }
            if (plan.blobs.size() >= most_blobs ||
                __builtin_add_overflow(plan.bytes, blob.size, &plan.bytes)) {
                return fail(layout_error("it names more blobs than any image has"));
            }
            plan.blobs.push_back(std::move(blob));
        }
    }
    plan.manifests.push_back({std::string(digest), document->media_type, std::move(body)});
    return {};
}

} // namespace

Error layout_error(const std::string& why, std::string cause) {
    Error error =
        make_error(ErrorClass::build, code::push_issue, "the built image cannot be pushed: " + one_line(why),
                   "build again; something may have changed the image layout after it was written");
    error.cause = std::move(cause);
    return error;
}

Result<Fd> Layout::open_file(const std::vector<std::string>& path, std::uint64_t& size) const {
    Fd parent;
    int at = directory_;
    std::string name;
    for (std::size_t i = 0; i < path.size(); ++i) {
        name += (i == 0 ? "" : "/") + path[i];
        const bool last = i + 1 == path.size();
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        const int flags =
            last ? O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY : O_RDONLY | O_NOFOLLOW | O_DIRECTORY;
        auto fd = open_beneath(at, path[i], flags);
        if (!fd) {
            return fail(layout_error(name + " is missing or no plain file", fd.error().cause));
        }
        parent = std::move(*fd);
        at = parent.get();
    }
    struct stat info{};
    if (::fstat(at, &info) != 0 || !S_ISREG(info.st_mode)) {
        return fail(layout_error(name + " is no plain file"));
    }
    size = static_cast<std::uint64_t>(info.st_size);
    return parent;
}

Result<Layout> Layout::open(int directory) {
    Layout out;
    out.directory_ = directory;
    std::uint64_t size = 0;
    const auto read_small = [&](const std::string& name) -> Result<std::string> {
        TRY_ASSIGN(const Fd fd, out.open_file({name}, size));
        auto text = read_all(fd.get(), longest_manifest);
        if (!text) {
            return fail(layout_error(name + " is too long", text.error().message));
        }
        return text;
    };
    if (read_small("oci-layout")) {
        out.oci_ = true;
        TRY_ASSIGN(out.index_, read_small("index.json"));
        return out;
    }
    if (auto version = read_small("version");
        !version || !version->starts_with("Directory Transport Version: 1.")) {
        return fail(layout_error("its directory is no image layout"));
    }
    return out;
}

Result<std::string> Layout::document(std::string_view digest) const {
    TRY_ASSIGN(const digest::Digest wanted, digest::parse_digest(digest));
    const std::string algorithm(digest.substr(0, digest.find(':')));
    std::uint64_t size = 0;
    const auto read_checked = [&](const std::vector<std::string>& path) -> Result<std::string> {
        TRY_ASSIGN(const Fd fd, open_file(path, size));
        auto text = read_all(fd.get(), longest_manifest);
        if (!text) {
            return fail(layout_error("the manifest " + std::string(digest) + " cannot be read",
                                     text.error().message));
        }
        digest::Hasher hasher(wanted.algorithm);
        hasher.update(*text);
        if (const std::string got = hasher.finish(); got != digest) {
            return fail(layout_error("the manifest is not the one that was built",
                                     "expected " + std::string(digest) + ", found " + got));
        }
        return text;
    };
    if (oci_) {
        return read_checked({"blobs", algorithm, wanted.hex});
    }
    auto root = read_checked({"manifest.json"});
    if (root) {
        return root;
    }
    auto instance = read_checked({wanted.hex + ".manifest.json"});
    return instance ? std::move(instance) : std::move(root);
}

Result<Fd> Layout::blob(std::string_view digest, std::uint64_t size) const {
    TRY_ASSIGN(const digest::Digest wanted, digest::parse_digest(digest));
    const std::string algorithm(digest.substr(0, digest.find(':')));
    std::uint64_t found = 0;
    TRY_ASSIGN(Fd fd, open_file(oci_ ? std::vector<std::string>{"blobs", algorithm, wanted.hex}
                                     : std::vector<std::string>{wanted.hex},
                                found));
    if (found != size) {
        return fail(
            layout_error("the blob " + std::string(digest) + " has another size than its manifest says",
                         std::to_string(found) + " instead of " + std::to_string(size) + " bytes"));
    }
    return fd;
}

Result<std::string> Layout::root_media_type(std::string_view digest) const {
    if (!oci_) {
        return std::string();
    }
    auto index = parse_document(index_, media::oci_index);
    if (!index || !index->is_index) {
        return fail(layout_error("its index.json is malformed", index ? "" : index.error().message));
    }
    const auto found = std::ranges::find(index->manifests, digest, &Descriptor::digest);
    if (found == index->manifests.end()) {
        return fail(layout_error("its index.json does not name " + std::string(digest)));
    }
    return found->media_type;
}

Result<UploadPlan> plan_upload(const Layout& layout, std::string_view digest) {
    if (!digest::is_valid_digest(digest)) {
        return fail(layout_error("no digest says which image is meant"));
    }
    TRY_ASSIGN(const std::string declared, layout.root_media_type(digest));
    UploadPlan plan;
    std::set<std::string, std::less<>> seen;
    TRY(collect(layout, digest, declared, 0, seen, plan));
    return plan;
}

} // namespace slipway::registry
