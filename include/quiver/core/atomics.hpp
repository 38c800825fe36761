// What the lock-free parts are built on. They take it as a template parameter, so that tests can put a model in its place and try every order of steps.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>

namespace quiver::detail {

/// The machine's own.
struct StdAtomics {
  template <class T>
  using Atomic = std::atomic<T>;
  /// Lets others run: this thread waits for a step of theirs.
  static void yield() noexcept { std::this_thread::yield(); }
  /// A number that is nearly always this thread's alone.
  [[nodiscard]] static std::size_t this_thread() noexcept { return std::hash<std::thread::id>()(std::this_thread::get_id()); }
};

}  // namespace quiver::detail
