// Telling a caller how far a long call is, and stopping it when the caller wants that.
#pragma once

#include <quiver/collection/options.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace quiver::detail {

/// Lets one thread after the other do what cannot be done twice at a time, and tells one that comes again while it does it.
class Turns {
 public:
  class Turn {
   public:
    /// Waits for the others. invalid_argument: this thread has its turn already.
    Turn(Turns& turns, const std::filesystem::path& path) : turns_(turns) {
      const auto self = std::this_thread::get_id();
      if (turns.whose_ == self) fail(Errc::invalid_argument, path, "optimize() was called by the progress function of one that goes on");
      turns.mutex_.lock();
      turns.whose_ = self;
    }
    ~Turn() {
      turns_.whose_ = std::thread::id();
      turns_.mutex_.unlock();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns& turns_;
  };

 private:
  std::mutex mutex_;
  std::atomic<std::thread::id> whose_{};
};

/// Counts steps and asks the caller's function every few thousand. Refers to the function. One thread.
class Ticker {
 public:
  Ticker(const std::function<bool(const Progress&)>& ask, std::filesystem::path path, std::uint64_t total) : ask_(ask), path_(std::move(path)), total_(total) {}

  /// Begins a stage, and asks. cancelled, as step().
  void stage(std::string_view name) {
    stage_ = name;
    tell();
  }
  /// cancelled: the caller's function said so. What it throws goes through.
  void step(std::uint64_t steps = 1) {
    done_ += steps;
    if (done_ >= next_) tell();
  }

 private:
  void tell() {
    next_ = done_ + 2048;
    if (ask_ && !ask_({stage_, std::min(done_, total_), total_})) fail(Errc::cancelled, path_, "the call was cancelled; the collection is as it was");
  }

  const std::function<bool(const Progress&)>& ask_;
  std::filesystem::path path_;
  std::string_view stage_;
  std::uint64_t total_, done_ = 0, next_ = 0;
};

}  // namespace quiver::detail
