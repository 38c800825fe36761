// The kernels for every kind of number that a vector may be stored as.
#pragma once

#include <quiver/distance/byte_kernels.hpp>
#include <quiver/distance/kernels.hpp>

#include <cstring>

namespace quiver::detail {

/// Both formulas for one kind of queries and one kind of rows.
struct FormulaKernels {
  Kernels squared_differences, products;
  [[nodiscard]] constexpr const Kernels& by(Metric metric) const noexcept { return metric == Metric::l2 ? squared_differences : products; }
};

/// Kernels for rows that are no floats.
struct ElementKernels {
  FormulaKernels halves;      // queries of floats, rows of halves
  FormulaKernels half_pairs;  // both of halves: the bits of `halves`, given the floats of the same values
  FormulaKernels int8, uint8;
  /// out[i] = number i of `count` as a float, exactly.
  void (*widen)(Element element, const void* from, std::size_t count, float* out) noexcept;
};

template <class Arch>
inline void widen_elements(Element element, const void* from, std::size_t count, float* out) noexcept {
  switch (element) {
    case Element::float32:
      std::memcpy(out, from, count * sizeof(float));
      return;
    case Element::float16:
      return widen_halves<Arch>(static_cast<const Half*>(from), count, out);
    case Element::int8:
      return widen_bytes<Arch>(static_cast<const std::int8_t*>(from), count, out);
    case Element::uint8:
      return widen_bytes<Arch>(static_cast<const std::uint8_t*>(from), count, out);
  }
}

template <class Arch, class Asked>
inline constexpr FormulaKernels half_kernels_of{kernels_of<Arch, SquaredDifference, Asked, Half>, kernels_of<Arch, Product, Asked, Half>};
template <class Arch, class T>
inline constexpr FormulaKernels both_byte_kernels_of{byte_kernels_of<Arch, T, true>, byte_kernels_of<Arch, T, false>};

template <class Arch>
inline constexpr ElementKernels element_kernels_of{half_kernels_of<Arch, float>, half_kernels_of<Arch, Half>, both_byte_kernels_of<Arch, std::int8_t>,
                                                   both_byte_kernels_of<Arch, std::uint8_t>, widen_elements<Arch>};

}  // namespace quiver::detail
