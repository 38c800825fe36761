// Counts the memory that operator new has handed out; exactly one file of the test program also includes support/replaced_new.hpp.
#pragma once

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace quiver::test {

inline std::atomic<std::size_t> live_bytes{0};
inline std::atomic<std::size_t> peak_bytes{0};

// The most memory held at once since this object was made, beyond what was held then. One thread.
class PeakMemory {
 public:
  PeakMemory() noexcept : before_(live_bytes) { peak_bytes = before_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return peak_bytes - before_; }

 private:
  std::size_t before_;
};

// Requests beyond this are refused, so that a test of hostile lengths does not take the machine down.
inline constexpr std::size_t allocation_limit = std::size_t{1} << 30;

// Allocations that succeed before one is refused; counted down only while not negative.
inline std::atomic<long> allocations_left{-1};

// Refuses allocation number `n`, from 0, of those made during its life, and the ones after it. One thread.
class RefusedMemory {
 public:
  explicit RefusedMemory(long n) noexcept { allocations_left = n; }
  RefusedMemory(const RefusedMemory&) = delete;
  RefusedMemory& operator=(const RefusedMemory&) = delete;
  ~RefusedMemory() { allocations_left = -1; }
};

inline void* counted_allocation(std::size_t size) {
  if (allocations_left >= 0) {
    if (allocations_left == 0) throw std::bad_alloc();
    --allocations_left;
  }
  if (size > peak_bytes) peak_bytes = size;
  void* memory = size > allocation_limit ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  const auto live = live_bytes += malloc_usable_size(memory);
  if (live > peak_bytes) peak_bytes = live;
  return memory;
}
inline void counted_release(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace quiver::test
