// What a load may return in a machine that promises no more than C++ does.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace quiver::test {

/// What a thread knows: of each place the newest store it may not read behind, and of each thread how many of its steps happened before.
struct Knowledge {
  static constexpr std::size_t threads = 5, places = 27;
  std::array<std::uint16_t, threads + places> at{};

  void add(const Knowledge& other) noexcept {
    for (std::size_t i = 0; i < at.size(); ++i) at[i] = std::max(at[i], other.at[i]);
  }
};

/// Every place keeps all that was ever stored in it, and each store carries what its thread knew if it released it. A load returns any store that the thread
/// need not know to be replaced; if it acquires, it learns what the store carries. Operations that are sequentially consistent have one order, that in which
/// they are executed. (After "A promising semantics for relaxed-memory concurrency" by Kang and others, 2017, without its promises.) Stores into one place
/// take effect in the order in which they are executed, and no load returns what is stored later: less than C++ permits. There are no fences.
class WeakMemory {
 public:
  using Place = std::uint32_t;

  void clear() {
    used_ = 0;
    for (auto& thread : knowledge_) thread = {};
    for (std::size_t i = 0; i < knowledge_.size(); ++i) knowledge_[i].at[i] = 1;
  }
  [[nodiscard]] Place add(std::uint64_t initial) {
    if (used_ == Knowledge::places) throw std::logic_error("the model has too few places");
    if (used_ == places_.size()) places_.emplace_back();
    auto& place = places_[used_];
    place.stores.assign(1, {initial, {}});
    place.ordered = 0;
    place.last.fill(none);
    return static_cast<Place>(used_++);
  }
  [[nodiscard]] Knowledge& knowledge(unsigned thread) noexcept { return knowledge_[thread]; }
  /// What `thread` did from now on is not what anyone learned before.
  void tick(unsigned thread) noexcept { ++knowledge_[thread].at[thread]; }

  /// How many stores older than the newest a load may return.
  [[nodiscard]] unsigned ages(unsigned thread, Place at, std::memory_order order) const noexcept {
    const auto& place = places_[at];
    const auto oldest = std::max(known(thread, at), order == std::memory_order_seq_cst ? place.ordered : std::uint16_t{0});
    return static_cast<unsigned>(place.stores.size()) - 1 - oldest;
  }
  [[nodiscard]] std::uint64_t load(unsigned thread, Place at, std::memory_order order, unsigned age) {
    auto& place = places_[at];
    const auto index = static_cast<std::uint16_t>(place.stores.size() - 1 - age);
    take(thread, place, index, order);
    know(thread, at, index);
    place.last[thread] = index;
    return place.stores[index].value;
  }
  /// What the thread has there if it does not look again: what it read or stored last; the first time, the oldest value that it may see.
  [[nodiscard]] std::uint64_t last(unsigned thread, Place at) noexcept {
    auto& place = places_[at];
    if (place.last[thread] == none) place.last[thread] = known(thread, at);
    return place.stores[place.last[thread]].value;
  }
  [[nodiscard]] std::uint64_t newest(Place at) const noexcept { return places_[at].stores.back().value; }
  void store(unsigned thread, Place at, std::uint64_t value, std::memory_order order) { put(thread, at, value, order, {}); }
  /// Reads the newest and stores in one.
  void update(unsigned thread, Place at, std::uint64_t value, std::memory_order order) {
    auto& place = places_[at];
    const auto read = static_cast<std::uint16_t>(place.stores.size() - 1);
    take(thread, place, read, order);
    // Whoever acquires from an update acquires from the stores before it too.
    put(thread, at, value, order, place.stores[read].carried);
  }

 private:
  struct Store {
    std::uint64_t value;
    Knowledge carried;
  };
  static constexpr std::uint16_t none = 0xFFFF;
  struct History {
    std::vector<Store> stores{};
    std::uint16_t ordered = 0;                             // the newest that a sequentially consistent operation stored or read
    std::array<std::uint16_t, Knowledge::threads> last{};  // what each thread read or stored last
  };

  [[nodiscard]] std::uint16_t known(unsigned thread, Place at) const noexcept { return knowledge_[thread].at[Knowledge::threads + at]; }
  void know(unsigned thread, Place at, std::uint16_t index) noexcept {
    auto& known = knowledge_[thread].at[Knowledge::threads + at];
    known = std::max(known, index);
  }
  void take(unsigned thread, History& place, std::uint16_t index, std::memory_order order) {
    if (order == std::memory_order_seq_cst) place.ordered = std::max(place.ordered, index);
    if (order != std::memory_order_relaxed && order != std::memory_order_release) knowledge_[thread].add(place.stores[index].carried);
  }
  void put(unsigned thread, Place at, std::uint64_t value, std::memory_order order, Knowledge carried) {
    auto& place = places_[at];
    const auto index = static_cast<std::uint16_t>(place.stores.size());
    know(thread, at, index);
    place.last[thread] = index;
    if (order == std::memory_order_seq_cst) place.ordered = index;
    if (order != std::memory_order_relaxed && order != std::memory_order_acquire) carried.add(knowledge_[thread]);
    place.stores.push_back({value, carried});
  }

  std::array<Knowledge, Knowledge::threads> knowledge_;
  std::vector<History> places_;
  std::size_t used_ = 0;
};

}  // namespace quiver::test
