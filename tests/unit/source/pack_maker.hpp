// Packs made by hand, right ones and others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::source::test {

class PackMaker {
  public:
    enum Type : unsigned { commit = 1, tree = 2, blob = 3, tag = 4, ofs_delta = 6, ref_delta = 7 };

    /// Offset of the entry added next.
    [[nodiscard]] std::uint64_t offset() const { return 12 + entries_.size(); }

    /// `size` is what the header says; by default, the truth.
    PackMaker& object(unsigned type, std::string_view content, std::uint64_t size = true_size);
    PackMaker& offset_delta(std::uint64_t distance, std::string_view delta);
    PackMaker& id_delta(std::string_view base, std::string_view delta);
    PackMaker& raw(std::string_view bytes);

    /// With a true count and checksum, unless other ones are given.
    [[nodiscard]] std::string finish(std::uint32_t more = 0) const;

    static std::string header(unsigned type, std::uint64_t size);
    static std::string deflated(std::string_view content);
    /// Binary id of a blob.
    static std::string blob_id(std::string_view content);
    static std::string sha1(std::string_view bytes);
    /// A delta that copies its base whole and puts `added` behind it.
    static std::string append(std::string_view base, std::string_view added);

  private:
    static constexpr std::uint64_t true_size = ~0ULL;
    std::string entries_;
    std::uint32_t count_ = 0;
};

} // namespace slipway::source::test
