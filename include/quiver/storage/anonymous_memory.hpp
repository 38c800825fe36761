// Memory straight from the system, in whole pages: no zeroing twice, no copy when it grows, given back when it goes.
#pragma once

#include <quiver/core/error.hpp>
#include <quiver/core/types.hpp>
#include <quiver/storage/huge_pages.hpp>

#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/mman.h>

namespace quiver::detail {

/// One private anonymous mapping; zeros at first, aligned to a page. Move-only. io_error if the system has no memory to give.
class AnonymousMemory {
 public:
  AnonymousMemory() = default;
  explicit AnonymousMemory(std::size_t size) { resize(size); }
  AnonymousMemory(AnonymousMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AnonymousMemory& operator=(AnonymousMemory&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~AnonymousMemory() { reset(); }

  [[nodiscard]] std::byte* data() noexcept { return data_; }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Keeps the first bytes; what is new is zero. May move.
  void resize(std::size_t size) {
    if (size == 0) return reset();
    void* got =
        data_ == nullptr ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : ::mremap(data_, size_, size, MREMAP_MAYMOVE);
    if (got == MAP_FAILED) {
      const int error = errno;
      fail(Errc::io_error, "cannot get " + std::to_string(size) + " bytes of memory: " + std::generic_category().message(error) +
                               "; free some, or use MMapPolicy, which needs none");
    }
    data_ = static_cast<std::byte*>(got);
    size_ = size;
    advise_huge_pages(data_, size_);
  }
  /// Later writes are a fault. A guard against our own mistakes; views are const anyway.
  void freeze() noexcept { static_cast<void>(::mprotect(data_, size_, PROT_READ)); }

 private:
  void reset() noexcept {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = nullptr;
    size_ = 0;
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quiver::detail
