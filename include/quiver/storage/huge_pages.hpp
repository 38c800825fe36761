// Asking the system for huge pages where much memory is used at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/mman.h>

namespace quiver::detail {

inline constexpr std::size_t huge_page_size = std::size_t{2} << 20;

/// A hint for memory that is about to be filled: fewer faults while it is, fewer walks through page tables afterwards. Nothing for less than a huge page. The
/// memory may come from anywhere; what lies at its edges is left alone.
inline void advise_huge_pages(void* memory, std::size_t size) noexcept {
  if (size < huge_page_size) return;
  constexpr std::uintptr_t small_page = 4096;  // an address between pages of another size is refused, which harms nobody
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + small_page - 1) / small_page * small_page;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + size) / small_page * small_page;
  static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
}

}  // namespace quiver::detail
