// Replaces the global operators new and delete by counted ones: included by exactly one file of a test program.
#pragma once

#include "support/peak_memory.hpp"

// Not inlined: the compiler would see malloc and delete, or new and free, meet in one function and warn.
[[gnu::noinline]] void* operator new(std::size_t size) { return quiver::test::counted_allocation(size); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return quiver::test::counted_allocation(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { quiver::test::counted_release(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { quiver::test::counted_release(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { quiver::test::counted_release(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { quiver::test::counted_release(memory); }
