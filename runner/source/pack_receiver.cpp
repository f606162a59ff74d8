#include "source/pack_receiver.hpp"

#include "base/encoding.hpp"
#include "source/big_endian.hpp"
#include "source/pack_deltas.hpp"
#include "source/pack_index.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <format>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace slipway::source {
namespace {

constexpr std::size_t header_size = 12;
constexpr std::size_t chunk = 64 * 1024;
constexpr std::uint64_t largest_in_memory = 32U << 20U;
constexpr std::uint32_t tell_every = 64;

/// A file's bytes as memory that the kernel may take back.
class Mapping {
  public:
    Mapping(int fd, std::size_t size)
        : size_(size), data_(::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0)) {}
    ~Mapping() {
        if (data_ != MAP_FAILED) {
            ::munmap(data_, size_);
        }
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    [[nodiscard]] const void* data() const { return data_ == MAP_FAILED ? nullptr : data_; }

  private:
    std::size_t size_;
    void* data_;
};

/// Moves up to `wanted` bytes in all from `bytes` to `head`; whether they are complete.
bool gather(std::string& head, std::string_view& bytes, std::size_t wanted) {
    const std::size_t taken = std::min(bytes.size(), wanted - head.size());
    head.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    return head.size() == wanted;
}

} // namespace

PackReceiver::~PackReceiver() {
    if (!file_name_.empty()) {
        ::unlink(file_name_.c_str());
    }
}

PackReceiver::Done PackReceiver::open() {
    file_name_ = (directory_ / "tmp_pack_XXXXXX").string();
    file_ = Fd(::mkostemp(file_name_.data(), O_CLOEXEC));
    if (!file_) {
        return std::unexpected(system_error(std::exchange(file_name_, {}), errno));
    }
    return {};
}

PackReceiver::Done PackReceiver::write(std::string_view bytes) {
    if (const Status written = write_all(file_.get(), bytes); !written) {
        return std::unexpected(library_error(GIT_ERROR_OS, "store the pack: " + written.error().cause));
    }
    return {};
}

PackReceiver::Done PackReceiver::append(std::string_view bytes) {
    if (!file_) {
        TRY(open());
    }
    std::string_view summed = bytes; // all but the trailer
    const std::string_view all = bytes;
    while (!bytes.empty()) {
        const char* const before = bytes.data();
        const Part part = part_;
        switch (part) {
        case Part::header:
            if (gather(head_, bytes, header_size)) {
                TRY(take_header());
            }
            break;
        case Part::entry: {
            ++header_bytes_;
            const EntryHeader::Step step = header_.take(static_cast<unsigned char>(bytes.front()));
            bytes.remove_prefix(1);
            if (step == EntryHeader::Step::bad) {
                return bad_pack(std::format("no object can begin so, at {}", offset_));
            }
            if (step == EntryHeader::Step::done) {
                TRY(begin_data());
            }
            break;
        }
        case Part::data: TRY(take_data(bytes)); break;
        case Part::trailer:
            summed = all.substr(0, std::min(summed.size(), all.size() - bytes.size()));
            if (gather(head_, bytes, Checksum::size)) {
                part_ = Part::end;
            }
            break;
        case Part::end: return bad_pack("something follows its end");
        }
        const auto used = static_cast<std::size_t>(bytes.data() - before);
        offset_ += used;
        if (part == Part::entry || part == Part::data) {
            crc_ = static_cast<std::uint32_t>(::crc32_z(crc_, reinterpret_cast<const Bytef*>(before), used));
        }
        if (part != part_ && part == Part::data) {
            objects_.entries.back().crc = crc_;
            next_entry();
        }
    }
    sum_.add(summed);
    return write(all);
}

PackReceiver::Done PackReceiver::take_header() {
    const std::uint32_t version = get32(head_.data() + 4);
    if (!head_.starts_with("PACK") || (version != 2 && version != 3)) {
        return bad_pack("it does not begin like one");
    }
    progress_.total = get32(head_.data() + 8);
    // A count is quickly written; room is made for what comes.
    objects_.entries.reserve(std::min<std::size_t>(progress_.total, 1U << 16U));
    head_.clear();
    next_entry();
    return {};
}

void PackReceiver::next_entry() {
    part_ = progress_.received < progress_.total ? Part::entry : Part::trailer;
    header_ = {};
    header_bytes_ = 0;
    crc_ = 0;
}

PackReceiver::Done PackReceiver::begin_data() {
    const std::uint64_t at = offset_ + 1 - header_bytes_;
    const auto number = static_cast<std::uint32_t>(objects_.entries.size());
    const PackType type = header_.type();
    if (type == PackType::ofs_delta) {
        const auto base = header_.distance() == 0 || header_.distance() > at
                              ? objects_.entries.end()
                              : std::ranges::lower_bound(
                                    objects_.entries, at - header_.distance(), {},
                                    [](const PackEntry& entry) -> std::uint64_t { return entry.offset; });
        if (base == objects_.entries.end() || base->offset != at - header_.distance()) {
            return bad_pack(std::format("the delta at {} is based on no object", at));
        }
        objects_.offset_deltas.push_back(
            {.base = static_cast<std::uint32_t>(base - objects_.entries.begin()), .entry = number});
    } else if (type == PackType::ref_delta) {
        objects_.id_deltas.push_back({.base = header_.base(), .entry = number});
    }
    PackEntry entry;
    entry.offset = at & ((std::uint64_t{1} << 60U) - 1);
    entry.type = type;
    objects_.entries.push_back(entry);
    inflater_.start();
    made_ = 0;
    const bool whole = !is_delta(type) && header_.size() <= largest_in_memory;
    if (whole || content_.size < chunk) {
        content_ = Bytes(whole ? header_.size() : chunk);
    }
    if (!is_delta(type) && !whole) {
        TRY(spill());
    }
    part_ = Part::data;
    return {};
}

/// A temporary file for the content of the entry that begins.
PackReceiver::Done PackReceiver::spill() {
    std::string name = (directory_ / "tmp_obj_XXXXXX").string();
    large_ = Fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!large_) {
        return std::unexpected(system_error(name, errno));
    }
    ::unlink(name.c_str());
    return {};
}

PackReceiver::Done PackReceiver::take_data(std::string_view& bytes) {
    const bool whole = !is_delta(header_.type()) && !large_;
    char beyond = 0; // zlib may want room to say that nothing follows
    char* room = content_.data.get() + (whole ? made_ : 0);
    std::size_t size = content_.size - (whole ? made_ : 0);
    if (size == 0) {
        room = &beyond;
        size = 1;
    }
    const Inflater::Step step = inflater_.go(bytes, room, size);
    const bool stuck = step.used == 0 && step.made == 0;
    if (step.kind == Inflater::Step::Kind::bad || (step.kind == Inflater::Step::Kind::more && stuck)) {
        return bad_pack(std::format("the bytes at {} cannot be inflated", offset_));
    }
    const std::uint64_t left = header_.size() - made_;
    const bool done = step.kind == Inflater::Step::Kind::done;
    if (step.made > left || (done && step.made < left)) {
        return bad_pack(std::format("the object that ends at {} is not of the size it says", offset_));
    }
    if (large_) {
        if (const Status written = write_all(large_.get(), {room, step.made}); !written) {
            return std::unexpected(library_error(GIT_ERROR_OS, "store an object: " + written.error().cause));
        }
    }
    made_ += step.made;
    bytes.remove_prefix(step.used);
    return done ? end_data() : Done{};
}

PackReceiver::Done PackReceiver::end_data() {
    part_ = Part::entry;
    ++progress_.received;
    if (is_delta(header_.type())) {
        ++progress_.deltas;
    } else {
        if (large_) {
            const Mapping content(large_.get(), header_.size());
            if (content.data() == nullptr) {
                return std::unexpected(system_error("map an object", errno));
            }
            if (const int rc = git_odb_hash(&objects_.entries.back().id, content.data(), header_.size(),
                                            static_cast<git_object_t>(header_.type()));
                rc < 0) {
                return std::unexpected(take_error(rc));
            }
            large_.reset();
        } else {
            TRY(naming_.add(objects_.entries, static_cast<std::uint32_t>(objects_.entries.size() - 1),
                            std::exchange(content_, {})));
        }
        ++progress_.indexed;
    }
    const bool last = progress_.received == progress_.total;
    if ((last || progress_.received % tell_every == 0) && !go_on_(progress_)) {
        return std::unexpected(stopped_error());
    }
    return {};
}

PackReceiver::Done PackReceiver::finish() {
    if (part_ != Part::end) {
        return bad_pack("it ends early");
    }
    if (sum_.finish() != head_) {
        return bad_pack("its checksum is another");
    }
    if (progress_.total == 0) {
        return {};
    }
    objects_.end = offset_ - Checksum::size;
    content_ = {};
    TRY(naming_.finish(objects_.entries));
    TRY(resolve_deltas(
        file_.get(), objects_,
        [this](std::size_t done) {
            progress_.indexed_deltas = static_cast<std::uint32_t>(done);
            return go_on_(progress_);
        },
        naming_.taker()));
    progress_.indexed_deltas = progress_.deltas;
    progress_.indexed = progress_.total;
    TRY(publish());
    return go_on_(progress_) ? Done{} : std::unexpected(stopped_error());
}

/// Writes the index and gives both files their names, the one that makes the pack known last.
PackReceiver::Done PackReceiver::publish() {
    std::string index_name = (directory_ / "tmp_idx_XXXXXX").string();
    const Fd index(::mkostemp(index_name.data(), O_CLOEXEC));
    if (!index) {
        return std::unexpected(system_error(index_name, errno));
    }
    Done done = write_pack_index(index.get(), objects_, head_);
    const std::string name = (directory_ / ("pack-" + hex_encode(head_))).string();
    for (const auto& [file, from, suffix] :
         {std::tuple(file_.get(), &file_name_, ".pack"), std::tuple(index.get(), &index_name, ".idx")}) {
        if (done && (::fchmod(file, 0444) != 0 || ::rename(from->c_str(), (name + suffix).c_str()) != 0)) {
            done = std::unexpected(system_error(name + suffix, errno));
        }
        if (done) {
            from->clear();
        }
    }
    if (!index_name.empty()) {
        ::unlink(index_name.c_str());
    }
    return done;
}

} // namespace slipway::source
