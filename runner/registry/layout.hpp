// An image layout on disk, as something an enemy wrote: OCI layout or containers' dir: form. Private to the
// room.
//
// Directories and files are opened one component at a time without following links; only regular files are
// read; documents are bounded and checked against their digest. Errors: build/pushissue.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "registry/documents.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

class Layout {
  public:
    /// `directory` is borrowed and must outlive the object.
    static Result<Layout> open(int directory);

    /// A manifest or index by digest, checked.
    [[nodiscard]] Result<std::string> document(std::string_view digest) const;
    /// A blob, opened and of exactly `size` bytes; its content is not checked yet.
    [[nodiscard]] Result<Fd> blob(std::string_view digest, std::uint64_t size) const;
    /// Media type the layout's index.json gives `digest`; empty in the dir: form. Error: not listed there.
    [[nodiscard]] Result<std::string> root_media_type(std::string_view digest) const;

  private:
    Layout() = default;
    [[nodiscard]] Result<Fd> open_file(const std::vector<std::string>& path, std::uint64_t& size) const;

    int directory_ = -1;
    bool oci_ = false;
    std::string index_; ///< text of index.json
};

struct PlannedManifest {
    std::string digest;
    std::string media_type;
    std::string body;
};

/// Everything to send, children before parents: the last manifest is the one asked for.
struct UploadPlan {
    std::vector<Descriptor> blobs; ///< each digest once
    std::vector<PlannedManifest> manifests;
    std::uint64_t bytes = 0;
};
Result<UploadPlan> plan_upload(const Layout& layout, std::string_view digest);

/// The error for a layout that is not as it should be.
Error layout_error(const std::string& why, std::string cause = {});

} // namespace slipway::registry
