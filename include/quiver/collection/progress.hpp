// Telling a caller how far a long call is, and stopping it when the caller wants that.
#pragma once

#include <quiver/collection/options.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace quiver::detail {

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
