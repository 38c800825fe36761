// Half-precision numbers as floats and back. Source: IEEE 754-2008, binary16.
#pragma once

#include <quiver/core/types.hpp>

#include <bit>
#include <cstdint>

namespace quiver::detail {

/// The float with the same value; NaNs keep their payload.
[[nodiscard, gnu::always_inline]] constexpr float half_to_float(Half half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (half.bits >> 10) & 0x1Fu;
  const std::uint32_t fraction = half.bits & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

/// The nearest half, of two that are equally near the one with an even fraction; an infinity from 65,520 on. A NaN stays one. Integer arithmetic alone, so that
/// it is the same on every machine and with every way of rounding.
[[nodiscard]] constexpr Half float_to_half(float number) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  // Cut off `places` bits, rounded.
  const auto rounded = [](std::uint32_t value, std::uint32_t places) {
    const std::uint32_t kept = value >> places, rest = value & ((1u << places) - 1), tie = 1u << (places - 1);
    return kept + (rest > tie || (rest == tie && (kept & 1u) != 0) ? 1u : 0u);
  };
  std::uint32_t out = 0;
  if (magnitude > 0x7F800000u) {
    out = 0x7E00u | ((magnitude >> 13) & 0x1FFu);
  } else if (magnitude >= 0x477FF000u) {
    out = 0x7C00u;
  } else if (magnitude >= 0x38800000u) {
    out = rounded(magnitude - (112u << 23), 13);  // a carry out of the fraction goes into the exponent, where it belongs
  } else if (const std::uint32_t places = 126 - (magnitude >> 23); places <= 24) {
    out = rounded((magnitude & 0x007FFFFFu) | 0x00800000u, places);  // a subnormal half counts 2^-24ths
  }
  return Half{static_cast<std::uint16_t>(sign | out)};
}

}  // namespace quiver::detail
