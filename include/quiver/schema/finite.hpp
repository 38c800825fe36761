// One pass over floats: is every one finite, is every one zero.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace quiver::detail {

struct FloatScan {
  bool finite = true;
  bool zero = true;  // +0 or -0 throughout; true for no floats at all
};

/// Integer arithmetic on the bits, without a branch, in blocks of fixed size, so that it becomes vector code at -O2 as well and
/// means the same under -ffast-math. An exponent of all ones carries into the sign bit when one is added to it.
[[nodiscard]] inline FloatScan scan_floats(std::span<const float> values) noexcept {
  constexpr std::size_t width = 16;
  constexpr std::uint32_t exponent = 0x7F800000u;
  constexpr std::uint32_t one = 0x00800000u;
  constexpr std::uint32_t sign = 0x80000000u;
  std::uint32_t carried[width] = {};
  std::uint32_t any[width] = {};
  std::size_t at = 0;
  for (; at + width <= values.size(); at += width) {
    std::uint32_t bits[width];
    std::memcpy(bits, values.data() + at, sizeof bits);
    for (std::size_t i = 0; i < width; ++i) carried[i] |= (bits[i] & exponent) + one;
    for (std::size_t i = 0; i < width; ++i) any[i] |= bits[i];
  }
  for (std::size_t i = 0; at < values.size(); ++at, ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[at]);
    carried[i] |= (bits & exponent) + one;
    any[i] |= bits;
  }
  std::uint32_t all_carried = 0;
  std::uint32_t all_any = 0;
  for (std::size_t i = 0; i < width; ++i) {
    all_carried |= carried[i];
    all_any |= any[i];
  }
  return {(all_carried & sign) == 0, (all_any & ~sign) == 0};
}

/// The place of the first NaN or infinity; values.size() where there is none.
[[nodiscard]] inline std::size_t first_not_finite(std::span<const float> values) noexcept {
  std::size_t at = 0;
  while (at < values.size() && (std::bit_cast<std::uint32_t>(values[at]) & 0x7F800000u) != 0x7F800000u) ++at;
  return at;
}

}  // namespace quiver::detail
