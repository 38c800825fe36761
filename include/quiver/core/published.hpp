// One object at a time that many threads take while another replaces it, without a lock.
#pragma once

#include <quiver/core/atomics.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace quiver::detail {

/// The present one of a row of shared objects, each of which says shared_from_this(). get() never waits for set(), however long that is interrupted, nor set()
/// for get(): a reader notes in a slot of its own which object it is about to take, and set() keeps an object that was replaced until no slot names it. (The
/// method is Maged Michael's hazard pointers, 2004.) Any number of threads may get(), one at a time may set(). Nothing may go on while it is destroyed.
/// `slots`: takings at the same moment; more wait for each other.
template <class T, class Atomics = StdAtomics, std::size_t slots = 32>
class Published {
 public:
  /// The object of this moment; null: none.
  [[nodiscard]] std::shared_ptr<T> get() const {
    T* seen = now_.load();
    if (seen == nullptr) return {};
    auto& slot = claim(seen);
    for (;;) {
      // Whoever replaced it before the slot named it did not see the slot.
      T* const again = now_.load();
      if (again == seen) break;
      seen = again;
      slot.store(seen);
      if (seen == nullptr) return {};  // and the slot is another's
    }
    auto out = seen->shared_from_this();
    slot.store(nullptr, std::memory_order_release);
    return out;
  }
  /// REQUIRES: an object that was never set before, or null.
  void set(std::shared_ptr<T> next) noexcept {
    owner_.swap(next);
    now_.store(owner_.get());
    replaced_[count_++] = std::move(next);
    // One look at each slot for all of them: whoever names one later finds it replaced, and does not take it. So each slot holds back one at most, and there is
    // always room for one more.
    std::array<const T*, slots> named;
    for (std::size_t i = 0; i < slots; ++i) named[i] = slots_[i].seen.load();
    for (std::size_t i = 0; i < count_;) {
      const T* const object = replaced_[i].get();
      if (object != nullptr && std::find(named.begin(), named.end(), object) != named.end()) {
        ++i;
      } else {
        replaced_[i] = std::move(replaced_[--count_]);
        replaced_[count_] = nullptr;
      }
    }
  }

 private:
  template <class V>
  using Atomic = typename Atomics::template Atomic<V>;

  struct alignas(64) Slot {
    Atomic<T*> seen{nullptr};  // null: nobody's
  };

  // A slot that nobody has; it names the object from then on.
  Atomic<T*>& claim(T* object) const {
    const auto start = Atomics::this_thread();
    for (;; Atomics::yield())
      for (std::size_t i = 0; i < slots; ++i) {
        auto& seen = slots_[(start + i) % slots].seen;
        T* nobody = nullptr;
        if (seen.load(std::memory_order_relaxed) == nullptr && seen.compare_exchange_strong(nobody, object)) return seen;
      }
  }

  mutable std::array<Slot, slots> slots_;
  Atomic<T*> now_{nullptr};
  std::shared_ptr<T> owner_;                            // of what now_ points to; set()'s
  std::array<std::shared_ptr<T>, slots + 1> replaced_;  // and perhaps named by a slot; set()'s
  std::size_t count_ = 0;
};

}  // namespace quiver::detail
