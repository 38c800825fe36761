// Whether this program is built with a sanitizer: such a program runs twenty times slower, without optimisation, and reads /proc and pipes of its own. `slow`:
// one without optimisation, too.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define QUIVER_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QUIVER_TEST_SANITIZED 1
#endif
#endif
#ifndef QUIVER_TEST_SANITIZED
#define QUIVER_TEST_SANITIZED 0
#endif

namespace quiver::test {

inline constexpr bool sanitized = QUIVER_TEST_SANITIZED != 0;
#ifdef __OPTIMIZE__
inline constexpr bool slow = sanitized;
#else
inline constexpr bool slow = true;
#endif

}  // namespace quiver::test
