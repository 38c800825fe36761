// Rows of every kind of number, and queries for them.
#pragma once

#include <quiver/core/half.hpp>
#include <quiver/index/flat.hpp>

#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace quiver::test {

inline constexpr Element all_elements[] = {Element::float32, Element::float16, Element::int8, Element::uint8};
inline constexpr Element narrow_elements[] = {Element::float16, Element::int8, Element::uint8};

/// The number that an element of this kind holds for `x`: within its range, and rounded.
[[nodiscard]] inline float as_element(Element element, float x) {
  switch (element) {
    case Element::float32:
      return x;
    case Element::float16:
      return detail::half_to_float(detail::float_to_half(x));
    case Element::int8:
      return std::nearbyint(std::fmax(-128.0f, std::fmin(127.0f, x)));
    case Element::uint8:
      return std::nearbyint(std::fmax(0.0f, std::fmin(255.0f, x)));
  }
  return x;
}
/// Numbers that the element holds as its bytes.
[[nodiscard]] inline Bytes stored_as(Element element, std::span<const float> numbers) {
  Bytes out(numbers.size() * detail::element_bytes(element));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (element == Element::float32) std::memcpy(&out[i * 4], &numbers[i], 4);
    const auto half = detail::float_to_half(numbers[i]);
    if (element == Element::float16) std::memcpy(&out[i * 2], &half, 2);
    if (element == Element::int8) out[i] = static_cast<std::byte>(static_cast<std::int8_t>(numbers[i]));
    if (element == Element::uint8) out[i] = static_cast<std::byte>(static_cast<std::uint8_t>(numbers[i]));
  }
  return out;
}
/// Numbers that use the range of the element: none of them is all there is in a vector that is zero.
[[nodiscard]] inline std::vector<float> numbers_of(Element element, std::size_t count, std::size_t dimension, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  const float scale = element == Element::int8 || element == Element::uint8 ? 50.0f : 1.0f, shift = element == Element::uint8 ? 120.0f : 0.0f;
  std::vector<float> out(count * dimension);
  for (auto& x : out) x = as_element(element, shift + scale * normal(random));
  for (std::size_t r = 0; r < count; ++r) out[r * dimension] += out[r * dimension] == 0 ? 1.0f : 0.0f;
  return out;
}

class ElementRows {
 public:
  ElementRows(Element kind, std::vector<float> values, std::size_t size)
      : element(kind), dimension(size), numbers(std::move(values)), stored(stored_as(kind, numbers)) {
    for (std::size_t r = 0; r < count(); ++r) inverse_norms.push_back(detail::inverse_norm(row(r)));
  }
  ElementRows(Element kind, std::size_t count, std::size_t size, unsigned seed) : ElementRows(kind, numbers_of(kind, count, size, seed), size) {}

  [[nodiscard]] std::size_t count() const noexcept { return numbers.size() / dimension; }
  [[nodiscard]] std::span<const float> row(std::size_t r) const noexcept { return std::span(numbers).subspan(r * dimension, dimension); }
  [[nodiscard]] detail::FlatRows rows() const noexcept { return {stored.data(), inverse_norms.data(), count(), dimension, element}; }
  /// Row r as a query for rows of the same kind.
  [[nodiscard]] detail::FlatQuery query(Metric metric, std::size_t r) const {
    const void* const asked =
        detail::asked_as(element) == element ? static_cast<const void*>(&stored[r * dimension * detail::element_bytes(element)]) : row(r).data();
    return {metric, element, row(r), asked, metric == Metric::cosine ? inverse_norms[r] : 1.0f, detail::kernel_set<>()};
  }

  Element element;
  std::size_t dimension;
  std::vector<float> numbers;
  Bytes stored;
  std::vector<float> inverse_norms;
};

}  // namespace quiver::test
