// What walks that have ended left for the next ones.
#pragma once

#include <quiver/index/hnsw_graph.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace quiver::detail {

/// Scratches that nobody uses. Any number of threads; whoever finds another one at it does without, so nobody waits, also in a forked process where that other
/// one is no more.
class IdleScratch {
 public:
  [[nodiscard]] std::unique_ptr<HnswScratch> take() {
    if (const std::unique_lock guard(mutex_, std::try_to_lock); guard && !all_.empty()) {
      auto last = std::move(all_.back());
      all_.pop_back();
      return last;
    }
    return std::make_unique<HnswScratch>();
  }
  void give(std::unique_ptr<HnswScratch> scratch) {
    if (const std::unique_lock guard(mutex_, std::try_to_lock); guard) all_.push_back(std::move(scratch));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<HnswScratch>> all_;
};

}  // namespace quiver::detail
