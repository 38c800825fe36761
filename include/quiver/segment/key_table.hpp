// fingerprint -> rows of the memtable, newest first: an insert-only hash table that is read without locks while it grows.
#pragma once

#include <quiver/core/atomics.hpp>
#include <quiver/core/types.hpp>
#include <quiver/segment/stable_rows.hpp>

#include <atomic>
#include <memory>
#include <span>
#include <vector>

namespace quiver::detail {

/// Open addressing with linear probing; a slot is one atomic word {upper half of the fingerprint, newest row + 1}, and from each row a chain leads to the
/// one before it under the same fingerprint, so that a key which is written often takes one slot. Growing builds a new table and swaps one pointer; earlier
/// tables live until the whole dies, so that a reader may finish in them. One writer, any number of readers.
template <class Atomics>
class BasicKeyTable {
 public:
  /// REQUIRES: capacity is a power of two.
  explicit BasicKeyTable(std::uint64_t capacity = 1024) { grow(capacity); }

  /// The newest row for which `matches(row)` is true among those entered under `fingerprint`; none: ~0.
  template <class Matches>
  [[nodiscard]] std::uint64_t find(std::uint64_t fingerprint, Matches&& matches) const {
    for (;;) {
      const auto before = truncations_.load(std::memory_order_acquire);
      const auto found = look(fingerprint, matches);
      // A row that was taken back meanwhile may have been entered again under another fingerprint, and then its chain led astray.
      if (found != ~std::uint64_t{0} || truncations_.load(std::memory_order_acquire) == before) return found;
    }
  }
  /// REQUIRES: row < 2^32 - 1; rows are entered in ascending order, from 0.
  void insert(std::uint64_t fingerprint, std::uint64_t row) {
    reserve(fingerprints_.size() + 1);
    // What may fail for want of memory comes first: truncate() takes back only what was entered.
    auto* const older = older_.grow(row);
    fingerprints_.push_back(fingerprint);
    const Table& table = *current_.load(std::memory_order_relaxed);
    const auto at = place(table, fingerprint);
    older->store(static_cast<std::uint32_t>(table.slots[at].load(std::memory_order_relaxed) & 0xFFFFFFFFu), std::memory_order_release);
    enter(table, at, fingerprint, row);
  }
  /// insert() of many rows in turn, without waiting for the memory of one slot after another.
  void insert(std::span<const std::uint64_t> fingerprints, std::uint64_t row) {
    reserve(row + fingerprints.size());
    const Table& table = *current_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < fingerprints.size(); ++i) {
      if (i + fetched_ahead < fingerprints.size()) fetch(table, fingerprints[i + fetched_ahead]);
      insert(fingerprints[i], row + i);
    }
  }
  /// Room for that many, at no more than half of the slots.
  void reserve(std::uint64_t rows) {
    const auto capacity = current_.load(std::memory_order_relaxed)->mask + 1;
    auto wanted = capacity;
    while (rows * 2 >= wanted) wanted *= 2;
    if (wanted != capacity) grow(wanted);
  }
  /// Rows that are entered.
  [[nodiscard]] std::uint64_t rows() const noexcept { return fingerprints_.size(); }
  /// Takes back the rows entered last, down to `rows` of them. Newest first, so every probe chain is left as it was before they came.
  void truncate(std::uint64_t rows) {
    const Table& table = *current_.load(std::memory_order_relaxed);
    for (; fingerprints_.size() > rows; fingerprints_.pop_back()) {
      const auto fingerprint = fingerprints_.back();
      const auto at = place(table, fingerprint);
      const std::uint64_t older = older_[fingerprints_.size() - 1].load(std::memory_order_relaxed);
      table.slots[at].store(older == 0 ? 0 : (fingerprint >> 32 << 32) | older, std::memory_order_release);
    }
    // Behind the slots, before a row is entered again: who counts it from the start sees no row that was taken back, who does not looks again.
    truncations_.fetch_add(1, std::memory_order_release);
  }

 private:
  template <class V>
  using Atomic = typename Atomics::template Atomic<V>;

  struct Table {
    explicit Table(std::uint64_t capacity) : mask(capacity - 1), slots(std::make_unique<Atomic<std::uint64_t>[]>(capacity)) {}
    std::uint64_t mask;
    std::unique_ptr<Atomic<std::uint64_t>[]> slots;
  };

  template <class Matches>
  [[nodiscard]] std::uint64_t look(std::uint64_t fingerprint, Matches& matches) const {
    const Table& table = *current_.load(std::memory_order_acquire);
    for (std::uint64_t at = fingerprint & table.mask;; at = (at + 1) & table.mask) {
      const auto slot = table.slots[at].load(std::memory_order_acquire);
      if (slot == 0) return ~std::uint64_t{0};
      if ((slot ^ fingerprint) >> 32 != 0) continue;
      for (std::uint64_t next = slot & 0xFFFFFFFFu; next != 0; next = older_[next - 1].load(std::memory_order_acquire))
        if (matches(next - 1)) return next - 1;
    }
  }
  /// The slot of exactly this fingerprint, or the free one where it belongs. The writer's: it knows the whole fingerprint of each row.
  [[nodiscard]] std::uint64_t place(const Table& table, std::uint64_t fingerprint) const {
    for (std::uint64_t at = fingerprint & table.mask;; at = (at + 1) & table.mask) {
      const auto slot = table.slots[at].load(std::memory_order_relaxed);
      if (slot == 0) return at;
      // The half that is at hand tells nearly all others apart, and saves the walk to their fingerprints.
      if ((slot ^ fingerprint) >> 32 == 0 && fingerprints_[(slot & 0xFFFFFFFFu) - 1] == fingerprint) return at;
    }
  }
  static void fetch(const Table& table, std::uint64_t fingerprint) { __builtin_prefetch(&table.slots[fingerprint & table.mask], 1); }
  static void enter(const Table& table, std::uint64_t at, std::uint64_t fingerprint, std::uint64_t row) {
    table.slots[at].store((fingerprint >> 32 << 32) | (row + 1), std::memory_order_release);
  }
  void grow(std::uint64_t capacity) {
    tables_.push_back(std::make_unique<Table>(capacity));
    const Table& table = *tables_.back();
    // The chains lead from row to row and stay as they are.
    for (std::uint64_t row = 0; row < fingerprints_.size(); ++row) {
      if (row + fetched_ahead < fingerprints_.size()) fetch(table, fingerprints_[row + fetched_ahead]);
      enter(table, place(table, fingerprints_[row]), fingerprints_[row], row);
    }
    current_.store(tables_.back().get(), std::memory_order_release);
  }

  static constexpr std::uint64_t fetched_ahead = 16;

  Atomic<Table*> current_{nullptr};
  std::vector<std::unique_ptr<Table>> tables_;
  std::vector<std::uint64_t> fingerprints_;  // by row; the writer's alone
  StableRows<Atomic<std::uint32_t>> older_;  // by row: the row before it under its fingerprint, + 1; 0: none
  Atomic<std::uint64_t> truncations_{0};
};
using KeyTable = BasicKeyTable<StdAtomics>;

}  // namespace quiver::detail
