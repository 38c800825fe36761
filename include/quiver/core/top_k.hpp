// The k nearest of a stream of candidates, ties decided by the smaller id, so that answers repeat.
#pragma once

#include <quiver/core/types.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace quiver::detail {

/// One candidate. Smaller distance is nearer; at equal distance the smaller id comes first.
struct Candidate {
  float distance = 0;
  std::uint64_t id = 0;
  friend constexpr bool operator<(const Candidate& a, const Candidate& b) noexcept {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }
  friend constexpr bool operator==(const Candidate&, const Candidate&) = default;
};

/// A bounded set of the k best candidates. offer() is O(1) for what is too far, O(log k) else. One thread.
/// REQUIRES: distances are never NaN.
class TopK {
 public:
  /// Says of an id whether it may be taken in. Asked only about candidates that are near enough; may throw.
  using Accept = std::function<bool(std::uint64_t id)>;

  explicit TopK(std::size_t k, const Accept* accept = nullptr) : k_(k), accept_(accept) { heap_.reserve(std::min<std::size_t>(k, 4096)); }

  /// The distance that a candidate must not exceed to be of interest; +infinity while fewer than k are held.
  [[nodiscard]] float bound() const noexcept { return bound_; }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
  [[nodiscard]] std::size_t k() const noexcept { return k_; }

  void offer(float distance, std::uint64_t id) {
    if (distance > bound_) return;
    if (heap_.size() == k_) {
      if (k_ == 0 || (distance == bound_ && id > heap_.front().id)) return;
      if (accept_ != nullptr && !(*accept_)(id)) return;
      std::pop_heap(heap_.begin(), heap_.end());
    } else {
      if (accept_ != nullptr && !(*accept_)(id)) return;
      heap_.emplace_back();
    }
    heap_.back().distance = distance;
    heap_.back().id = id;
    std::push_heap(heap_.begin(), heap_.end());
    if (heap_.size() == k_) bound_ = heap_.front().distance;
  }
  /// Takes in all of another set; the result does not depend on the order.
  void merge(const TopK& other) {
    for (const auto& c : other.heap_) offer(c.distance, c.id);
  }
  /// The candidates, nearest first; leaves this set empty.
  [[nodiscard]] std::vector<Candidate> take_sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    bound_ = k_ == 0 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
    return std::exchange(heap_, {});
  }

 private:
  std::size_t k_;
  const Accept* accept_;  // null: everything
  float bound_ = k_ == 0 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
  std::vector<Candidate> heap_;  // max-heap: the farthest first
};

}  // namespace quiver::detail
