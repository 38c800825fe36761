// What a walk through a graph keeps in mind: the nearest nodes so far, and which nodes it has seen.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace quiver::detail {

/// The `capacity` nearest nodes seen so far, nearest first, each handed out once. One array, kept sorted: faster than two heaps up to some hundreds of nodes.
/// Ties go to the smaller node, so that a walk repeats. One thread. REQUIRES: distances are never NaN, nodes < 2^31.
class CandidatePool {
 public:
  struct Entry {
    float distance;
    std::uint32_t node;
  };
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// Empties it. REQUIRES: capacity > 0.
  void reset(std::size_t capacity) {
    if (keys_.size() < capacity + 1) keys_.resize(capacity + 1);
    capacity_ = capacity;
    size_ = next_ = 0;
  }
  /// The distance that a node must be below to be taken in; +infinity while there is room.
  [[nodiscard]] float bound() const noexcept { return size_ < capacity_ ? std::numeric_limits<float>::infinity() : distance_of(keys_[size_ - 1]); }
  /// True if it is what next() will hand out. O(log capacity) comparisons, and a move of what is farther. REQUIRES: the node was not offered since the last
  /// reset.
  bool offer(float distance, std::uint32_t node) noexcept {
    if (size_ == capacity_ && !(distance < distance_of(keys_[size_ - 1]))) return false;
    const auto key = key_of(distance, node);
    // Without branches: which half it is in is a coin that no processor foresees.
    const std::uint64_t* at = keys_.data();
    for (std::size_t left = size_; left > 0;) {
      const auto half = (left + 1) / 2;
      at += half & (std::size_t{0} - static_cast<std::size_t>(at[half - 1] < key));
      left -= half;
    }
    const auto low = static_cast<std::size_t>(at - keys_.data());
    if (size_ < capacity_) ++size_;
    std::memmove(&keys_[low + 1], &keys_[low], (size_ - 1 - low) * sizeof(std::uint64_t));
    keys_[low] = key;
    const bool first = low <= next_;
    next_ = std::min(next_, low);
    return first;
  }
  /// The nearest node that was not handed out yet, which now is; none if there is none.
  [[nodiscard]] std::uint32_t next() noexcept {
    next_ = waiting(next_);
    if (next_ == size_) return none;
    const auto node = node_of(keys_[next_]);
    keys_[next_] |= handed_out;
    return node;
  }
  /// What next() would return, without handing it out, and what would come behind it.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> peek() noexcept {
    next_ = waiting(next_);
    if (next_ == size_) return {none, none};
    const auto second = waiting(next_ + 1);
    return {node_of(keys_[next_]), second == size_ ? none : node_of(keys_[second])};
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] Entry operator[](std::size_t i) const noexcept { return {distance_of(keys_[i]), node_of(keys_[i])}; }

 private:
  // A key is the distance's bits, turned so that they are ordered as numbers are, the node, and whether it was handed out.
  static constexpr std::uint64_t handed_out = 1;
  static constexpr std::uint32_t sign = std::uint32_t{1} << 31;

  [[nodiscard]] static std::uint64_t key_of(float distance, std::uint32_t node) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(distance);
    return std::uint64_t{(bits & sign) != 0 ? ~bits : bits | sign} << 32 | std::uint64_t{node} << 1;
  }
  [[nodiscard]] static float distance_of(std::uint64_t key) noexcept {
    const auto bits = static_cast<std::uint32_t>(key >> 32);
    return std::bit_cast<float>((bits & sign) != 0 ? bits & ~sign : ~bits);
  }
  [[nodiscard]] static std::uint32_t node_of(std::uint64_t key) noexcept { return static_cast<std::uint32_t>(key) >> 1; }
  /// The first from `at` on that was not handed out.
  [[nodiscard]] std::size_t waiting(std::size_t at) const noexcept {
    while (at < size_ && (keys_[at] & handed_out) != 0) ++at;
    return at;
  }

  std::vector<std::uint64_t> keys_;
  std::size_t capacity_ = 0, size_ = 0, next_ = 0;
};

/// The nodes that a walk has met. Emptied in the time of what was met, not of all nodes. Without branches, which would be right as often as wrong. One thread.
class VisitedSet {
 public:
  /// Empties it and makes room for nodes [0, count).
  void reset(std::uint64_t count) {
    for (std::size_t i = 0; i < touched_count_; ++i) words_[touched_[i]] = 0;
    touched_count_ = 0;
    const auto words = static_cast<std::size_t>((count + 63) / 64);
    if (words_.size() >= words) return;
    touched_.resize(words + 1);  // each word once, and a place to write to behind them
    words_.resize(words);        // last: where there is no memory for it, the next reset tries both again
  }
  /// Takes nodes in. Leaves those that were not in it at the front, in their order, and returns how many.
  [[nodiscard]] std::size_t insert(std::uint32_t* nodes, std::size_t count) noexcept {
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto node = nodes[i];
      const auto bit = std::uint64_t{1} << (node % 64);
      const auto word = words_[node / 64];
      touched_[touched_count_] = node / 64;
      touched_count_ += static_cast<std::size_t>(word == 0);
      words_[node / 64] = word | bit;
      nodes[fresh] = node;
      fresh += static_cast<std::size_t>((word & bit) == 0);
    }
    return fresh;
  }
  /// True if the node was not in it.
  [[nodiscard]] bool insert(std::uint32_t node) noexcept { return insert(&node, 1) == 1; }
  /// As insert(), but takes nothing in.
  [[nodiscard]] std::size_t keep_new(std::uint32_t* nodes, std::size_t count) const noexcept {
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto node = nodes[i];
      nodes[fresh] = node;
      fresh += static_cast<std::size_t>((words_[node / 64] >> (node % 64) & 1) == 0);
    }
    return fresh;
  }
  void prefetch(std::uint32_t node) const noexcept { __builtin_prefetch(&words_[node / 64], 1); }

 private:
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> touched_;  // words that are not 0
  std::size_t touched_count_ = 0;
};

}  // namespace quiver::detail
