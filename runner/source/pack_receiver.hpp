// A pack taken as it arrives: checked, stored, and indexed.
//
// Inputs: the bytes of one pack, in pieces of any size; the directory they go to (objects/pack of a
// repository that nobody else writes to). Output: pack-<checksum>.pack and .idx there, put in place by
// renaming; nothing when anything fails. Every object's id is made from its content, by libgit2's SHA-1 that
// detects collisions.
//
// Versions 2 and 3 of the format, ids of 20 bytes. A pack must be whole: thin ones, whose deltas rest on
// objects elsewhere, are for who has objects to begin with. Memory is bounded by the number of objects (48
// bytes each), two objects that deltas stand between, and some dozen MiB; a larger object goes through a
// temporary file.
//
// Errors: klass INDEXER for a pack that is damaged, cut short or followed by more; OS with the system's
// words; GIT_EUSER when `go_on` said no.
#pragma once

#include "base/fd.hpp"
#include "source/pack_naming.hpp"
#include "source/pack_objects.hpp"
#include "source/pack_sum.hpp"

#include <expected>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

/// Counts of objects, of which `total` says how many there will be.
struct PackProgress {
    std::uint32_t total = 0;
    std::uint32_t received = 0;
    std::uint32_t indexed = 0;
    std::uint32_t deltas = 0;
    std::uint32_t indexed_deltas = 0;
};

class PackReceiver {
  public:
    /// `go_on` is called now and then from within the other calls, on their thread. `take` may be empty; else
    /// it is given all but files of dozens of MiB.
    PackReceiver(std::filesystem::path directory, std::function<bool(const PackProgress&)> go_on,
                 ObjectTaker take = {})
        : directory_(std::move(directory)), go_on_(std::move(go_on)), naming_(std::move(take)) {}
    ~PackReceiver();
    PackReceiver(const PackReceiver&) = delete;
    PackReceiver& operator=(const PackReceiver&) = delete;

    using Done = std::expected<void, LibraryError>;

    /// After an error, nothing more.
    Done append(std::string_view bytes);
    /// No more bytes come. A pack of no objects leaves no files.
    Done finish();

    [[nodiscard]] const PackProgress& progress() const { return progress_; }

  private:
    enum class Part { header, entry, data, trailer, end };

    Done open();
    Done take_header();
    Done begin_data();
    Done take_data(std::string_view& bytes);
    Done end_data();
    Done spill();
    Done write(std::string_view bytes);
    void next_entry();
    Done publish();

    std::filesystem::path directory_;
    std::function<bool(const PackProgress&)> go_on_;
    Fd file_;
    std::string file_name_; ///< empty once it has its final one
    Part part_ = Part::header;
    std::string head_; ///< bytes of a header or the trailer that have come
    EntryHeader header_;
    unsigned header_bytes_ = 0;
    Inflater inflater_;
    Checksum sum_;
    std::uint64_t offset_ = 0; ///< of the next byte
    std::uint32_t crc_ = 0;    ///< of the entry so far
    PackObjects objects_;
    PackNaming naming_;
    PackProgress progress_;

    Bytes content_;          ///< of the entry, or a part of it
    std::uint64_t made_ = 0; ///< bytes inflated of the entry
    Fd large_;               ///< where the content is, when it is too large for memory
};

} // namespace slipway::source
