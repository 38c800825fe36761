// Vector elements of other types as floats, exactly.
#pragma once

#include <quiver/core/half.hpp>
#include <quiver/schema/types.hpp>

#include <vector>

namespace quiver::detail {

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
