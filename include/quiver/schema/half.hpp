// Vector elements of other types as floats, exactly.
#pragma once

#include <quiver/schema/types.hpp>

#include <bit>

namespace quiver::detail {

/// The float with the same value; NaNs keep their payload. Source: IEEE 754-2008, binary16.
[[nodiscard]] constexpr float half_to_float(Half half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (half.bits >> 10) & 0x1Fu;
  const std::uint32_t fraction = half.bits & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

template <VectorElement T>
[[nodiscard]] constexpr float to_float(T element) noexcept {
  if constexpr (std::same_as<T, Half>) {
    return half_to_float(element);
  } else {
    return static_cast<float>(element);
  }
}

template <VectorLike R>
[[nodiscard]] std::vector<float> to_floats(const R& elements) {
  const auto* first = std::ranges::data(elements);
  const auto count = static_cast<std::size_t>(std::ranges::size(elements));
  std::vector<float> floats(count);
  for (std::size_t i = 0; i < count; ++i) floats[i] = to_float(first[i]);
  return floats;
}

}  // namespace quiver::detail
