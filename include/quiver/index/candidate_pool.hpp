// What a walk through a graph keeps in mind: the nearest nodes so far, and which nodes it has seen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace quiver::detail {

/// The `capacity` nearest nodes seen so far, nearest first, each handed out once. One array, kept sorted: faster than two heaps up to some hundreds of nodes.
/// Ties go to the smaller node, so that a walk repeats. One thread. REQUIRES: distances are never NaN, nodes < 2^31.
class CandidatePool {
 public:
  struct Entry {
    float distance;
    std::uint32_t node;  // with the highest bit set once it was handed out
    [[nodiscard]] std::uint32_t id() const noexcept { return node & ~handed_out; }
  };
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// Empties it. REQUIRES: capacity > 0.
  void reset(std::size_t capacity) {
    if (entries_.size() < capacity + 1) entries_.resize(capacity + 1);
    capacity_ = capacity;
    size_ = next_ = 0;
  }
  /// The distance that a node must be below to be taken in; +infinity while there is room.
  [[nodiscard]] float bound() const noexcept { return size_ < capacity_ ? std::numeric_limits<float>::infinity() : entries_[size_ - 1].distance; }
  /// True if it is what next() will hand out. O(log capacity) comparisons, and a move of what is farther. REQUIRES: the node was not offered since the last
  /// reset.
  bool offer(float distance, std::uint32_t node) noexcept {
    if (size_ == capacity_ && !(distance < entries_[size_ - 1].distance)) return false;
    std::size_t low = 0, high = size_;
    while (low < high) {
      const auto middle = (low + high) / 2;
      const auto& entry = entries_[middle];
      if (entry.distance < distance || (entry.distance == distance && entry.id() < node))
        low = middle + 1;
      else
        high = middle;
    }
    if (size_ < capacity_) ++size_;
    std::memmove(&entries_[low + 1], &entries_[low], (size_ - 1 - low) * sizeof(Entry));
    entries_[low] = {distance, node};
    const bool first = low <= next_;
    next_ = std::min(next_, low);
    return first;
  }
  /// The nearest node that was not handed out yet, which now is; none if there is none.
  [[nodiscard]] std::uint32_t next() noexcept {
    skip();
    if (next_ == size_) return none;
    const auto node = entries_[next_].node;
    entries_[next_].node |= handed_out;
    return node;
  }
  /// What next() would return, without handing it out.
  [[nodiscard]] std::uint32_t peek() noexcept {
    skip();
    return next_ == size_ ? none : entries_[next_].node;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const Entry& operator[](std::size_t i) const noexcept { return entries_[i]; }

 private:
  static constexpr std::uint32_t handed_out = std::uint32_t{1} << 31;

  void skip() noexcept {
    while (next_ < size_ && (entries_[next_].node & handed_out) != 0) ++next_;
  }

  std::vector<Entry> entries_;
  std::size_t capacity_ = 0, size_ = 0, next_ = 0;
};

/// The nodes that a walk has met. Emptied in the time of what was met, not of all nodes. One thread.
class VisitedSet {
 public:
  /// Empties it and makes room for nodes [0, count).
  void reset(std::uint64_t count) {
    for (const auto word : touched_) words_[word] = 0;
    touched_.clear();
    const auto words = static_cast<std::size_t>((count + 63) / 64);
    if (words_.size() < words) words_.resize(words);
  }
  /// True if the node was not in it.
  [[nodiscard]] bool insert(std::uint32_t node) {
    auto& word = words_[node / 64];
    const auto bit = std::uint64_t{1} << (node % 64);
    if ((word & bit) != 0) return false;
    if (word == 0) touched_.push_back(node / 64);
    word |= bit;
    return true;
  }
  void prefetch(std::uint32_t node) const noexcept { __builtin_prefetch(&words_[node / 64], 1); }

 private:
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> touched_;
};

}  // namespace quiver::detail
