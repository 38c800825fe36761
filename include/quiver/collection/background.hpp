// The thread that compacts in the background, and what became of it.
#pragma once

#include <quiver/core/error.hpp>
#include <quiver/core/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <utility>

namespace quiver::detail {

/// Calls a piece of work in a thread of its own each time that it was woken. Work that fails is called again after a pause, which is never shorter than ten
/// times what the failure took, so that a full disk or a damaged file costs little; meanwhile error() says what was wrong. Any thread may wake and ask; one
/// starts, one stops.
class Background {
 public:
  /// work() -> void. io_error: the system has no more threads.
  template <class Work>
  void start(Work work) {
    due_ = true;
    thread_ = Thread([this, work = std::move(work)] {
      for (Pause pause{0}; wait(pause);) {
        const auto began = std::chrono::steady_clock::now();
        const auto failed = [&](Errc code, const char* what) noexcept {
          keep(code, what);
          pause = std::clamp(std::max<Pause>(pause * 2, (std::chrono::steady_clock::now() - began) * 10), least_pause, most_pause);
        };
        try {
          work();
          keep(Errc::none, "");
          pause = Pause{0};
        } catch (const Error& e) {
          failed(e.code(), e.what());
        } catch (const std::exception& e) {
          failed(Errc::none, e.what());
        }
      }
    });
  }
  void wake() {
    const std::lock_guard guard(mutex_);
    due_ = true;
    wakes_.notify_all();
  }
  /// Work in progress should end.
  [[nodiscard]] bool stopping() const noexcept { return stopping_; }
  /// Why the last call of the work failed; empty where it did not. Of several failures of one kind in a row the first, which caused the others.
  [[nodiscard]] std::string error() const {
    const std::lock_guard guard(mutex_);
    return error_;
  }
  /// stopping() is true from now on.
  void tell_to_stop() {
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    wakes_.notify_all();
  }
  /// Waits for the end of the work.
  void stop() {
    tell_to_stop();
    thread_.join();
  }
  /// In a forked process, which has no such thread; what it waits at is not touched.
  void forget() noexcept { thread_.forget(); }

 private:
  using Pause = std::chrono::steady_clock::duration;
  static constexpr Pause least_pause = std::chrono::milliseconds(100), most_pause = std::chrono::minutes(10);

  /// False: the end. After a failure a wake is none: what failed would fail again.
  [[nodiscard]] bool wait(Pause pause) {
    std::unique_lock guard(mutex_);
    if (pause == Pause{0})
      wakes_.wait(guard, [this] { return due_ || stopping_; });
    else
      wakes_.wait_for(guard, pause, [this] { return stopping_.load(); });
    due_ = false;
    return !stopping_;
  }
  void keep(Errc code, const char* what) noexcept {
    const std::lock_guard guard(mutex_);
    if (stopping_ || (code != Errc::none && code == code_)) return;
    code_ = code;
    try {
      error_ = what;
    } catch (...) {
      error_ = "out of memory";  // short enough to need none
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable wakes_;
  bool due_ = false;
  std::atomic<bool> stopping_{false};
  Errc code_ = Errc::none;
  std::string error_;
  Thread thread_;
};

/// A thread that begins with the first request and always does the newest one.
template <class Request>
class BackgroundRequests {
 public:
  /// work(const Request&) -> void; the first call's is kept. io_error: the system has no more threads.
  template <class Work>
  void ask(Request request, Work work) {
    const std::lock_guard guard(mutex_);
    request_ = std::move(request);
    if (started_) return thread_.wake();
    thread_.start([this, work = std::move(work)] { work(newest()); });
    started_ = true;
  }
  [[nodiscard]] bool stopping() const noexcept { return thread_.stopping(); }
  [[nodiscard]] std::string error() const { return thread_.error(); }
  void stop() { thread_.stop(); }
  void forget() noexcept { thread_.forget(); }

 private:
  [[nodiscard]] Request newest() {
    const std::lock_guard guard(mutex_);
    return request_;
  }

  std::mutex mutex_;
  Request request_;
  bool started_ = false;
  Background thread_;
};

}  // namespace quiver::detail
