# Libraries others keep. What each is for, and its licence: docs/dependencies.md.
if(SLIPWAY_STATIC)
    set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
    set(OPENSSL_USE_STATIC_LIBS ON)
    set(Boost_USE_STATIC_LIBS ON)
    set(link_kind _STATIC)
endif()

find_package(Threads REQUIRED)
find_package(Boost 1.83 CONFIG REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.4 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
# spdlog's own targets name shared libraries, also where an archive lies beside them.
add_library(dep_spdlog INTERFACE)
target_link_libraries(dep_spdlog INTERFACE fmt::fmt-header-only Threads::Threads)
target_compile_definitions(dep_spdlog INTERFACE SPDLOG_FMT_EXTERNAL SPDLOG_HEADER_ONLY)
find_package(PkgConfig REQUIRED)

# name(<target> <header> <library>): a library without a usable CMake package.
function(slipway_find name header library)
    find_path(${name}_INCLUDE ${header} REQUIRED)
    find_library(${name}_LIBRARY ${library} REQUIRED)
    add_library(dep_${name} UNKNOWN IMPORTED)
    set_target_properties(dep_${name} PROPERTIES IMPORTED_LOCATION "${${name}_LIBRARY}"
        INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${${name}_INCLUDE}")
endfunction()

slipway_find(zstd zstd.h zstd)
slipway_find(ssh2 libssh2.h ssh2)
slipway_find(llhttp llhttp.h llhttp)
slipway_find(git2 git2.h git2)
target_link_libraries(dep_ssh2 INTERFACE OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB)
target_link_libraries(dep_git2 INTERFACE dep_ssh2 dep_llhttp OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB Threads::Threads)

slipway_find(bz2 bzlib.h bz2)
slipway_find(lzma lzma.h lzma)
slipway_find(archive archive.h archive)
target_link_libraries(dep_archive INTERFACE dep_zstd dep_bz2 dep_lzma ZLIB::ZLIB)

# cpp-httplib: Debian ships its header split, the other half in a shared library. The whole header
# (hack/dependencies/httplib.sh puts it into /usr/local) needs no library and is what the static binary takes.
find_path(httplib_INCLUDE httplib.h REQUIRED)
add_library(dep_httplib INTERFACE)
target_include_directories(dep_httplib SYSTEM INTERFACE "${httplib_INCLUDE}")
target_compile_definitions(dep_httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_USE_POLL)
target_link_libraries(dep_httplib INTERFACE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
file(STRINGS "${httplib_INCLUDE}/httplib.h" httplib_WHOLE REGEX "^class SSLInit")
if(NOT httplib_WHOLE)
    find_library(httplib_LIBRARY cpp-httplib REQUIRED)
    target_link_libraries(dep_httplib INTERFACE "${httplib_LIBRARY}")
endif()

if(SLIPWAY_TESTS)
    find_package(Catch2 3 REQUIRED)
    include(Catch)
endif()
