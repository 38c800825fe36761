// Waiting for what a thread of the collection's own does.
#pragma once

#include <chrono>
#include <thread>

namespace quiver::test {

/// Whether it is done within four minutes: far longer than any machine needs, so that one that is slow and busy does not fail the test.
template <class Done>
[[nodiscard]] bool soon(Done&& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(4);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace quiver::test
