// Result<T>: a value or an Error. The only two macros of the project live here.
#pragma once

#include "base/error.hpp"

#include <expected>

namespace slipway {

template <class T> using Result = std::expected<T, Error>;

/// Result of something done for its effect alone.
using Status = Result<void>;

inline std::unexpected<Error> fail(Error error) {
    return std::unexpected<Error>(std::move(error));
}

inline std::unexpected<Error> fail(ErrorClass klass, std::string_view code, std::string message,
                                   std::string hint = {}) {
    return std::unexpected<Error>(make_error(klass, code, std::move(message), std::move(hint)));
}

/// What the caller asked for cannot be done as asked: a missing or invalid argument.
inline std::unexpected<Error> fail_usage(std::string message, std::string hint = {}) {
    return fail(ErrorClass::usage, code::missing_or_invalid_argument, std::move(message), std::move(hint));
}

inline std::unexpected<Error> fail_errno(std::string_view what, int err) {
    return std::unexpected<Error>(errno_error(what, err));
}

} // namespace slipway

#define SLIPWAY_CONCAT_2(a, b) a##b
#define SLIPWAY_CONCAT(a, b) SLIPWAY_CONCAT_2(a, b)

/// `TRY(expr);` leaves the function with the error of a failed Result, whatever its value type.
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        if (auto&& try_result = (expr); !try_result) {                                                       \
            return std::unexpected(std::move(try_result).error());                                           \
        }                                                                                                    \
    } while (false)

/// `TRY_ASSIGN(auto x, expr);` is TRY that keeps the value.
#define TRY_ASSIGN(declaration, expr)                                                                        \
    auto SLIPWAY_CONCAT(try_result_, __LINE__) = (expr);                                                     \
    if (!SLIPWAY_CONCAT(try_result_, __LINE__)) {                                                            \
        return std::unexpected(std::move(SLIPWAY_CONCAT(try_result_, __LINE__)).error());                    \
    }                                                                                                        \
    declaration = std::move(*SLIPWAY_CONCAT(try_result_, __LINE__))
