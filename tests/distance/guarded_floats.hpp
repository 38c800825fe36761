// Floats with forbidden pages close before and behind them: a kernel that reads beyond its rows dies.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <stdexcept>

namespace quiver::test {

/// `count` floats that end where a page ends that may not be read (or begin where one ended, with `at_front`). Not copied.
class GuardedFloats {
 public:
  explicit GuardedFloats(std::size_t count, bool at_front = false) : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    const std::size_t bytes = count * sizeof(float);
    const std::size_t inside = (bytes + page_ - 1) / page_ * page_;
    size_ = inside + 2 * page_;
    base_ = ::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED || ::mprotect(static_cast<std::byte*>(base_) + page_, inside, PROT_READ | PROT_WRITE) != 0)
      throw std::runtime_error("no guarded pages");
    auto* const first = static_cast<std::byte*>(base_) + page_ + (at_front ? 0 : inside - bytes);
    floats_ = {reinterpret_cast<float*>(first), count};
  }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;
  ~GuardedFloats() { ::munmap(base_, size_); }

  [[nodiscard]] std::span<float> span() const noexcept { return floats_; }
  [[nodiscard]] float* data() const noexcept { return floats_.data(); }

 private:
  std::size_t page_, size_;
  void* base_;
  std::span<float> floats_;
};

}  // namespace quiver::test
