// SHA-1 over bytes as they come: the checksums at the end of git's files. These guard against accidents
// alone, so OpenSSL's quick one will do; the ids of objects are libgit2's to make, with its guard against
// collisions.
#pragma once

#include <array>
#include <memory>
#include <openssl/evp.h>
#include <string>
#include <string_view>

namespace slipway::source {

class Checksum {
  public:
    static constexpr std::size_t size = 20;

    Checksum() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr); }

    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

    /// Once.
    [[nodiscard]] std::string finish() {
        std::string sum(size, '\0');
        EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(sum.data()), nullptr);
        return sum;
    }

  private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

} // namespace slipway::source
