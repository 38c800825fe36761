// The scalar quantizer of four bits: each dimension has 16 steps between the least and the greatest number that was seen there.
#pragma once

#include <quiver/quant/scalar.hpp>

namespace quiver::detail {

/// Half a byte a number, the code plus 8: of two neighbours the first one in the lower half. Weights lie as the kernels want them, those of the lower halves
/// first.
struct Sq4Codes {
  using Weight = std::int8_t;
  static constexpr int half = 8;
  static constexpr std::int32_t bias = half;
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t dimension) noexcept { return (dimension + 7) / 8 * 4; }
  static void put(std::byte* row, std::size_t i, int code) noexcept { row[i / 2] |= static_cast<std::byte>((code + bias) << (i % 2 * 4)); }
  [[nodiscard]] static int get(const std::byte* row, std::size_t i) noexcept { return (std::to_integer<int>(row[i / 2]) >> (i % 2 * 4) & 15) - bias; }
  [[nodiscard]] static constexpr std::int32_t largest_weight(std::size_t) noexcept { return largest_nibble_weight; }
  [[nodiscard]] static constexpr std::size_t weights(std::size_t dimension) noexcept {
    return (dimension + 2 * code_block - 1) / (2 * code_block) * (2 * code_block);
  }
  [[nodiscard]] static constexpr std::size_t place(std::size_t weights, std::size_t i) noexcept { return i % 2 * (weights / 2) + i / 2; }
  [[nodiscard]] static constexpr std::size_t padded(std::size_t weights) noexcept { return weights / 2; }
  [[nodiscard]] static const NibbleKernels& kernels(const KernelSet& set) noexcept { return set.nibbles; }
};

using Sq4Quantizer = ScalarQuantizer<Sq4Codes>;
using Sq4Query = ScalarQuery<Sq4Codes>;
static_assert(Quantizer<Sq4Quantizer>);

}  // namespace quiver::detail
