// Numbers of a vector as its field stores them, and back as floats.
#pragma once

#include <quiver/core/half.hpp>
#include <quiver/schema/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace quiver::detail {

/// True if a byte of type T holds the number exactly; a negative zero is zero.
template <class T>
[[nodiscard]] constexpr bool fits_byte(float number) noexcept {
  constexpr float least = std::numeric_limits<T>::min(), greatest = std::numeric_limits<T>::max();
  return number >= least && number <= greatest && static_cast<float>(static_cast<std::int32_t>(number)) == number;
}

/// True if an element holds the number: floats every one, halves one that is not rounded to an infinity, bytes a whole one in their range.
[[nodiscard]] constexpr bool fits_element(Element element, float number) noexcept {
  switch (element) {
    case Element::float16:
      return number > -65520.0f && number < 65520.0f;
    case Element::int8:
      return fits_byte<std::int8_t>(number);
    case Element::uint8:
      return fits_byte<std::uint8_t>(number);
    case Element::float32:
      break;
  }
  return true;
}

/// The place of the first number that an element cannot hold; numbers.size() where there is none.
[[nodiscard]] inline std::size_t first_not_fitting(Element element, std::span<const float> numbers) noexcept {
  const auto first = std::find_if(numbers.begin(), numbers.end(), [element](float number) { return !fits_element(element, number); });
  return static_cast<std::size_t>(first - numbers.begin());
}

/// A number for a message: to nine digits, as many as tell floats apart.
[[nodiscard]] inline std::string number_text(float number) {
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%.9g", static_cast<double>(number));
  return {text, static_cast<std::size_t>(length)};
}

/// The bytes of numbers; halves are the nearest ones. REQUIRES: each fits; room for element_bytes() of each.
inline void store_elements(Element element, std::span<const float> numbers, std::byte* to) noexcept {
  switch (element) {
    case Element::float32:
      std::memcpy(to, numbers.data(), numbers.size_bytes());
      return;
    case Element::float16:
      for (const float number : numbers) {
        const auto half = float_to_half(number);
        std::memcpy(to, &half, sizeof half);
        to += sizeof half;
      }
      return;
    case Element::int8:
      for (std::size_t i = 0; i < numbers.size(); ++i) to[i] = static_cast<std::byte>(static_cast<std::int8_t>(numbers[i]));
      return;
    case Element::uint8:
      for (std::size_t i = 0; i < numbers.size(); ++i) to[i] = static_cast<std::byte>(static_cast<std::uint8_t>(numbers[i]));
      return;
  }
}

/// Stored numbers as floats, exactly; at any address. REQUIRES: bytes of out.size() numbers.
inline void load_elements(Element element, ByteSpan stored, std::span<float> out) noexcept {
  const auto* const from = stored.data();
  switch (element) {
    case Element::float32:
      std::memcpy(out.data(), from, out.size_bytes());
      return;
    case Element::float16:
      for (std::size_t i = 0; i < out.size(); ++i) {
        Half half;
        std::memcpy(&half, from + i * sizeof half, sizeof half);
        out[i] = half_to_float(half);
      }
      return;
    case Element::int8:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(from[i]));
      return;
    case Element::uint8:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(std::to_integer<std::uint8_t>(from[i]));
      return;
  }
}
[[nodiscard]] inline std::vector<float> load_elements(Element element, ByteSpan stored) {
  std::vector<float> out(stored.size() / element_bytes(element));
  load_elements(element, stored, out);
  return out;
}

}  // namespace quiver::detail
