// The scalar quantizer of eight bits: each dimension has 256 steps between the least and the greatest number that was seen there.
#pragma once

#include <quiver/quant/scalar.hpp>

namespace quiver::detail {

/// One signed byte a number.
struct Sq8Codes {
  using Weight = std::int16_t;
  static constexpr int half = 128;
  static constexpr std::int32_t bias = 0;
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t dimension) noexcept { return (dimension + 3) / 4 * 4; }
  static void put(std::byte* row, std::size_t i, int code) noexcept { row[i] = static_cast<std::byte>(static_cast<std::int8_t>(code)); }
  [[nodiscard]] static int get(const std::byte* row, std::size_t i) noexcept { return static_cast<std::int8_t>(std::to_integer<std::uint8_t>(row[i])); }
  [[nodiscard]] static constexpr std::int32_t largest_weight(std::size_t dimension) noexcept { return detail::largest_weight(dimension); }
  [[nodiscard]] static constexpr std::size_t weights(std::size_t dimension) noexcept { return (dimension + code_block - 1) / code_block * code_block; }
  [[nodiscard]] static constexpr std::size_t place(std::size_t, std::size_t i) noexcept { return i; }
  [[nodiscard]] static constexpr std::size_t padded(std::size_t weights) noexcept { return weights; }
  [[nodiscard]] static const CodeKernels& kernels(const KernelSet& set) noexcept { return set.codes; }
};

using Sq8Quantizer = ScalarQuantizer<Sq8Codes>;
using Sq8Query = ScalarQuery<Sq8Codes>;
static_assert(Quantizer<Sq8Quantizer>);

}  // namespace quiver::detail
