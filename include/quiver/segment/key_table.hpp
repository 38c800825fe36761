// fingerprint -> row of the memtable: an insert-only hash table that is read without locks while it grows.
#pragma once

#include <quiver/core/types.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace quiver::detail {

/// Open addressing with linear probing; a slot is one atomic word {upper half of the fingerprint, row + 1}. Growing builds a new table and
/// swaps one pointer; earlier tables live until the KeyTable dies, so that a reader may finish in them. One writer, any number of readers.
class KeyTable {
 public:
  KeyTable() { grow(1024); }

  /// The first row for which `matches(row)` is true among those entered under `fingerprint`; none: ~0.
  template <class Matches>
  [[nodiscard]] std::uint64_t find(std::uint64_t fingerprint, Matches&& matches) const {
    const Table& table = *current_.load(std::memory_order_acquire);
    for (std::uint64_t at = fingerprint & table.mask;; at = (at + 1) & table.mask) {
      const auto slot = table.slots[at].load(std::memory_order_acquire);
      if (slot == 0) return ~std::uint64_t{0};
      if ((slot ^ fingerprint) >> 32 == 0) {
        const std::uint64_t row = (slot & 0xFFFFFFFFu) - 1;
        if (matches(row)) return row;
      }
    }
  }
  /// REQUIRES: row < 2^32 - 1; rows are entered in ascending order.
  void insert(std::uint64_t fingerprint, std::uint64_t row) {
    if ((fingerprints_.size() + 1) * 2 > current_.load(std::memory_order_relaxed)->mask) grow((current_.load(std::memory_order_relaxed)->mask + 1) * 2);
    fingerprints_.push_back(fingerprint);
    put(*current_.load(std::memory_order_relaxed), fingerprint, row);
  }
  /// Takes back the rows entered last, down to `rows` of them. Newest first, so every probe chain is left as it was before they came.
  void truncate(std::uint64_t rows) {
    Table& table = *current_.load(std::memory_order_relaxed);
    for (; fingerprints_.size() > rows; fingerprints_.pop_back()) {
      const std::uint64_t wanted = fingerprints_.size();  // row + 1
      std::uint64_t at = fingerprints_.back() & table.mask;
      while ((table.slots[at].load(std::memory_order_relaxed) & 0xFFFFFFFFu) != wanted) at = (at + 1) & table.mask;
      table.slots[at].store(0, std::memory_order_release);
    }
  }

 private:
  struct Table {
    explicit Table(std::uint64_t capacity) : mask(capacity - 1), slots(std::make_unique<std::atomic<std::uint64_t>[]>(capacity)) {}
    std::uint64_t mask;
    std::unique_ptr<std::atomic<std::uint64_t>[]> slots;
  };

  static void put(Table& table, std::uint64_t fingerprint, std::uint64_t row) {
    std::uint64_t at = fingerprint & table.mask;
    while (table.slots[at].load(std::memory_order_relaxed) != 0) at = (at + 1) & table.mask;
    table.slots[at].store((fingerprint >> 32 << 32) | (row + 1), std::memory_order_release);
  }
  void grow(std::uint64_t capacity) {
    tables_.push_back(std::make_unique<Table>(capacity));
    for (std::uint64_t row = 0; row < fingerprints_.size(); ++row) put(*tables_.back(), fingerprints_[row], row);
    current_.store(tables_.back().get(), std::memory_order_release);
  }

  std::atomic<Table*> current_{nullptr};
  std::vector<std::unique_ptr<Table>> tables_;
  std::vector<std::uint64_t> fingerprints_;  // by row; the writer's alone
};

}  // namespace quiver::detail
