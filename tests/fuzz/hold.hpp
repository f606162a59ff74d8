// What a fuzz target demands of every input: a condition that does not hold is a finding.
#pragma once

#include <cstdlib>

inline void hold(bool condition) {
    if (!condition) {
        std::abort();
    }
}
