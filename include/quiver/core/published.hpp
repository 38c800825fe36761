// One object at a time that many threads take while another replaces it, without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

namespace quiver::detail {

/// The present one of a row of shared objects, each of which says shared_from_this(). get() never waits for set(), however long that is interrupted, nor set()
/// for get(): a reader notes in a slot of its own which object it is about to take, and set() keeps an object that was replaced until no slot names it. (The
/// method is Maged Michael's hazard pointers, 2004.) Any number of threads may get(), one at a time may set(). Nothing may go on while it is destroyed.
template <class T>
class Published {
 public:
  /// The object of this moment; null: none.
  [[nodiscard]] std::shared_ptr<T> get() const {
    Slot& slot = claim();
    T* seen = now_.load();
    for (;;) {
      slot.seen.store(seen);
      // Whoever replaced it before the slot named it did not see the slot.
      T* const again = now_.load();
      if (again == seen) break;
      seen = again;
    }
    auto out = seen == nullptr ? std::shared_ptr<T>() : seen->shared_from_this();
    slot.seen.store(nullptr);
    slot.taken.store(false, std::memory_order_release);
    return out;
  }
  void set(std::shared_ptr<T> next) noexcept {
    owner_.swap(next);
    now_.store(owner_.get());
    // Each slot holds back one object at most, so there is always room for one more.
    replaced_[count_++] = std::move(next);
    for (std::size_t i = 0; i < count_;) {
      if (named(replaced_[i].get())) {
        ++i;
      } else {
        replaced_[i] = std::move(replaced_[--count_]);
        replaced_[count_] = nullptr;
      }
    }
  }

 private:
  static constexpr std::size_t slots = 32;  // takings at the same moment; more wait for each other

  struct alignas(64) Slot {
    std::atomic<T*> seen{nullptr};
    std::atomic<bool> taken{false};
  };

  Slot& claim() const {
    const auto start = std::hash<std::thread::id>()(std::this_thread::get_id());
    for (;; std::this_thread::yield())
      for (std::size_t i = 0; i < slots; ++i) {
        Slot& slot = slots_[(start + i) % slots];
        if (!slot.taken.load(std::memory_order_relaxed) && !slot.taken.exchange(true, std::memory_order_acquire)) return slot;
      }
  }
  [[nodiscard]] bool named(const T* object) const noexcept {
    if (object == nullptr) return false;
    for (const auto& slot : slots_)
      if (slot.seen.load() == object) return true;
    return false;
  }

  mutable std::array<Slot, slots> slots_;
  std::atomic<T*> now_{nullptr};
  std::shared_ptr<T> owner_;                            // of what now_ points to; set()'s
  std::array<std::shared_ptr<T>, slots + 1> replaced_;  // and perhaps named by a slot; set()'s
  std::size_t count_ = 0;
};

}  // namespace quiver::detail
