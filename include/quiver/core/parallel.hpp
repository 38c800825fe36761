// The one place where quiver starts threads.
#pragma once

#include <quiver/core/error.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace quiver::detail {

/// How many threads `threads` asks for; 0: all that the machine has.
[[nodiscard]] inline std::size_t threads_of(std::size_t threads) noexcept { return threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency()); }

/// Calls task(i) once for every i in [0, count) on up to `threads` threads, the caller's among them (0: all that the machine has).
/// Tasks are handed out in order. The first exception stops the handing out and is thrown here after all threads have ended.
template <class Task>
void parallel_for(std::size_t count, std::size_t threads, Task&& task) {
  threads = std::min(threads_of(threads), count);
  if (threads <= 1) {
    for (std::size_t i = 0; i < count; ++i) task(i);
    return;
  }
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(i);
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      const std::lock_guard guard(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  helpers.reserve(threads - 1);
  try {
    for (std::size_t t = 1; t < threads; ++t) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: those that started, and this one, do the work.
  }
  work();
  for (auto& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

/// A thread of the library's own. Move-only; whoever ends it joins it.
class Thread {
 public:
  Thread() noexcept = default;
  /// io_error: the system has no more threads.
  template <class Task>
    requires(!std::same_as<std::remove_cvref_t<Task>, Thread>)
  explicit Thread(Task&& task) try : thread_(std::forward<Task>(task)) {
  } catch (const std::system_error& e) {
    fail(Errc::io_error, std::string("cannot start a thread: ") + e.what());
  }
  /// Waits for its end; at once where there is none.
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  /// In a forked process, which has none of its parent's threads.
  void forget() noexcept {
    if (thread_.joinable()) thread_.detach();
  }

 private:
  std::thread thread_;
};

}  // namespace quiver::detail
