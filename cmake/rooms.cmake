# Rooms: one folder of runner/, one library, private links.
#
# A room's headers are reached only through a directory of its own ("frames/sink.hpp" is found through
# <build>/rooms/frames/frames -> runner/frames), and that directory is on the include path of exactly those
# who link the room. So an include across sibling rooms does not compile; tests/unit/rooms proves it.

# The standard headers most files include take over half of a compilation at -O0, so they are precompiled once, in the
# first target, and all others use that. The release preset does without, so a file that forgets an include does not
# compile there.
set(slipway_precompiled <algorithm> <array> <charconv> <chrono> <cstdint> <cstring> <expected> <filesystem> <format>
    <fstream> <functional> <map> <memory> <mutex> <optional> <ranges> <set> <span> <sstream> <string> <string_view> <thread>
    <unordered_map> <utility> <variant> <vector>)

# slipway_precompiled_headers(<target> <first target> [<header>...]): the headers above and those named.
function(slipway_precompiled_headers target first)
    if(target STREQUAL first)
        target_precompile_headers(${target} PRIVATE ${slipway_precompiled} ${ARGN})
    else()
        target_precompile_headers(${target} REUSE_FROM ${first})
    endif()
endfunction()

# slipway_room(<name> [USES <room>...] [LIBS <target>...])
function(slipway_room name)
    cmake_parse_arguments(ROOM "" "" "USES;LIBS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp")
    if(NOT sources)
        add_library(slipway_${name} INTERFACE)
        return()
    endif()
    set(view "${CMAKE_BINARY_DIR}/rooms/${name}")
    file(MAKE_DIRECTORY "${view}")
    file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}/${name}" "${view}/${name}" SYMBOLIC)
    add_library(slipway_${name} STATIC ${sources})
    target_include_directories(slipway_${name} PUBLIC "${view}")
    target_link_libraries(slipway_${name} PRIVATE slipway_options ${ROOM_LIBS})
    slipway_precompiled_headers(slipway_${name} slipway_base)
    foreach(used IN LISTS ROOM_USES)
        # base is vocabulary (Result, Error) and shows in every public header; the rest stays inside.
        if(used STREQUAL "base")
            target_link_libraries(slipway_${name} PUBLIC slipway_base)
        else()
            target_link_libraries(slipway_${name} PRIVATE slipway_${used})
        endif()
    endforeach()
endfunction()

# slipway_unit_test(<room> [USES <room>...] [LIBS <target>...]): tests/unit/<room>/*.cpp as one Catch2 program.
function(slipway_unit_test room)
    cmake_parse_arguments(TEST "" "" "USES;LIBS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${room}/*.cpp")
    if(NOT sources)
        return()
    endif()
    add_executable(test_${room} ${sources})
    target_link_libraries(test_${room} PRIVATE slipway_options slipway_${room} Catch2::Catch2WithMain ${TEST_LIBS})
    foreach(used IN LISTS TEST_USES)
        target_link_libraries(test_${room} PRIVATE slipway_${used})
    endforeach()
    target_compile_definitions(test_${room} PRIVATE SLIPWAY_TEST_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
    slipway_precompiled_headers(test_${room} test_base <catch2/catch_test_macros.hpp>)
    catch_discover_tests(test_${room} TEST_PREFIX "${room}: " DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 120)
endfunction()
