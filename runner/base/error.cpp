#include "base/error.hpp"

#include <cerrno>
#include <system_error>

namespace slipway {

std::string_view to_string(ErrorClass klass) noexcept {
    switch (klass) {
    case ErrorClass::usage: return "usage";
    case ErrorClass::build: return "build";
    case ErrorClass::auth: return "auth";
    case ErrorClass::network: return "network";
    case ErrorClass::registry: return "registry";
    case ErrorClass::pod: return "pod";
    case ErrorClass::resource: return "resource";
    case ErrorClass::internal: return "internal";
    case ErrorClass::cancelled: return "cancelled";
    }
    return "internal";
}

int exit_status(ErrorClass klass) noexcept {
    switch (klass) {
    case ErrorClass::usage: return 2;
    case ErrorClass::build: return 10;
    case ErrorClass::auth: return 11;
    case ErrorClass::network: return 12;
    case ErrorClass::registry: return 13;
    case ErrorClass::pod: return 14;
    case ErrorClass::resource: return 15;
    case ErrorClass::internal: return 16;
    case ErrorClass::cancelled: return 128;
    }
    return 16;
}

Error make_error(ErrorClass klass, std::string_view code, std::string message, std::string hint) {
    Error error;
    error.code = code;
    error.klass = klass;
    error.message = std::move(message);
    error.hint = std::move(hint);
    return error;
}

Error errno_error(std::string_view what, int err) {
    const std::string text = std::string(what) + ": " + std::generic_category().message(err);
    Error error;
    if (err == ENOSPC || err == EDQUOT) {
        error = make_error(ErrorClass::resource, code::out_of_disk, "no space left: " + std::string(what),
                           "give the volume more space, or remove what it holds");
    } else {
        error = make_error(ErrorClass::internal, code::internal_error, text);
    }
    error.cause = text;
    return error;
}

} // namespace slipway
