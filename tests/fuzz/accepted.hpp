// A fuzz target calls accepted() when its parser took an input. A target whose parser never accepts anything tests nothing, so run.cmake demands that
// the line this prints at the end names more than none.
#pragma once

#include <cstdio>

namespace fuzz {

inline void accepted() {
  struct Count {
    unsigned long inputs = 0;
    Count() = default;
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count() { std::fprintf(stderr, "%lu accepted\n", inputs); }
  };
  static Count count;
  ++count.inputs;
}

}  // namespace fuzz
