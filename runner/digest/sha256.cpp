#include "digest/sha256.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace slipway::digest {

namespace {

std::size_t hex_length(Algorithm algorithm) noexcept {
    return algorithm == Algorithm::sha256 ? 64 : 128;
}

std::string_view name_of(Algorithm algorithm) noexcept {
    return algorithm == Algorithm::sha256 ? "sha256" : "sha512";
}

} // namespace

struct Hasher::State {
    EVP_MD_CTX* context = nullptr;
    Algorithm algorithm = Algorithm::sha256;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher(Algorithm algorithm) : state_(std::make_unique<State>()) {
    // Whatever OpenSSL configuration the host carries (engines, providers by path) is not ours to run.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    state_->algorithm = algorithm;
    state_->context = EVP_MD_CTX_new();
    const EVP_MD* md = algorithm == Algorithm::sha256 ? EVP_sha256() : EVP_sha512();
    if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, md, nullptr) != 1) {
        throw std::runtime_error("OpenSSL cannot hash");
    }
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
        throw std::runtime_error("OpenSSL cannot hash");
    }
}

std::string Hasher::finish_raw() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(state_->context, out.data(), &size) != 1) {
        throw std::runtime_error("OpenSSL cannot hash");
    }
    return {out.begin(), out.begin() + size};
}

std::string Hasher::finish() {
    return std::string(name_of(state_->algorithm)) + ":" + hex_encode(finish_raw());
}

std::string sha256(std::string_view bytes) {
    Hasher hasher;
    hasher.update(bytes);
    return hasher.finish();
}

Result<std::string> sha256_of(int fd) {
    Hasher hasher;
    std::vector<char> buffer(std::size_t{256} * 1024);
    for (;;) {
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n == 0) {
            return hasher.finish();
        }
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail_errno("read", errno);
        }
        hasher.update({buffer.data(), static_cast<std::size_t>(n)});
    }
}

std::string Digest::text() const {
    return std::string(name_of(algorithm)) + ":" + hex;
}

Result<Digest> parse_digest(std::string_view text) {
    for (const Algorithm algorithm : {Algorithm::sha256, Algorithm::sha512}) {
        const std::string_view name = name_of(algorithm);
        if (!text.starts_with(name) || text.size() != name.size() + 1 + hex_length(algorithm) ||
            text[name.size()] != ':') {
            continue;
        }
        const std::string_view hex = text.substr(name.size() + 1);
        if (std::ranges::all_of(hex,
                                [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); })) {
            return Digest{algorithm, std::string(hex)};
        }
    }
    return fail_usage("not a digest: \"" + to_valid_utf8(text.substr(0, 160)) + "\"",
                      "a digest is sha256: and 64 lower-case hexadecimal digits");
}

bool is_valid_digest(std::string_view text) noexcept {
    try {
        return parse_digest(text).has_value();
    } catch (...) {
        return false;
    }
}

} // namespace slipway::digest
