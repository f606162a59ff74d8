// Content digests as OCI writes them: "sha256:<64 hex>", "sha512:<128 hex>", lower case.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace slipway::digest {

enum class Algorithm { sha256, sha512 };

/// Streaming hash.
class Hasher {
  public:
    explicit Hasher(Algorithm algorithm = Algorithm::sha256);
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;
    ~Hasher();

    void update(std::string_view bytes);
    /// "sha256:<hex>". Once only.
    [[nodiscard]] std::string finish();
    /// The bare bytes. Once only, instead of finish().
    [[nodiscard]] std::string finish_raw();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// "sha256:<hex>" of bytes in memory.
std::string sha256(std::string_view bytes);
/// Of a descriptor from its current position to its end. Error: errno's.
Result<std::string> sha256_of(int fd);

struct Digest {
    Algorithm algorithm = Algorithm::sha256;
    std::string hex; ///< lower case, of the algorithm's length

    [[nodiscard]] std::string text() const;
    bool operator==(const Digest&) const = default;
};

/// Strict: known algorithm, exact length, lower-case hex. Error: usage/missingorinvalidargument.
Result<Digest> parse_digest(std::string_view text);
bool is_valid_digest(std::string_view text) noexcept;

} // namespace slipway::digest
