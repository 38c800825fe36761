// All kernels of one instruction set in one table, and the tables that a package with QUIVER_RUNTIME_DISPATCH carries.
#pragma once

#include <quiver/distance/code_kernels.hpp>
#include <quiver/distance/element_kernels.hpp>
#include <quiver/distance/kernels.hpp>
#include <quiver/distance/nibble_kernels.hpp>
#include <quiver/distance/panel.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace quiver {

/// The instruction sets that kernels are compiled for: `baseline` is what every processor of a kind has. Of those that one processor has, a later one is
/// faster.
enum class SimdLevel : std::uint8_t { baseline, avx2, avx512, avx512_vnni, neon };

[[nodiscard]] constexpr std::string_view to_string(SimdLevel level) noexcept {
  constexpr std::string_view names[] = {"baseline", "avx2", "avx512", "avx512_vnni", "neon"};
  return names[static_cast<std::size_t>(level)];
}

namespace detail {

/// What KernelSet::rows() takes a query as: floats where rows are floats or halves, bytes of the rows' own kind else.
[[nodiscard]] constexpr Element asked_as(Element rows) noexcept { return rows == Element::float16 ? Element::float32 : rows; }

/// The kernels of one instruction set. A constant: any number of threads, for as long as the program runs.
struct KernelSet {
  SimdLevel level;
  Kernels squared_differences, products;
  ElementKernels elements;
  PanelKernels panels;
  CodeKernels codes;
  NibbleKernels nibbles;

  [[nodiscard]] constexpr const Kernels& floats(Metric metric) const noexcept { return metric == Metric::l2 ? squared_differences : products; }
  /// For rows of a kind, and queries as asked_as() says: once for a query, never for a row.
  [[nodiscard]] constexpr const Kernels& rows(Element element, Metric metric) const noexcept {
    return element == Element::float16 ? elements.halves.by(metric) : pairs(element, metric);
  }
  /// For rows of a kind among each other; the same bits as rows() with the same numbers.
  [[nodiscard]] constexpr const Kernels& pairs(Element element, Metric metric) const noexcept {
    switch (element) {
      case Element::float16:
        return elements.half_pairs.by(metric);
      case Element::int8:
        return elements.int8.by(metric);
      case Element::uint8:
        return elements.uint8.by(metric);
      case Element::float32:
        break;
    }
    return floats(metric);
  }
};

template <class Arch>
[[nodiscard]] consteval KernelSet make_kernel_set(SimdLevel level) {
  return {level,
          kernels_for<Arch>(Metric::l2),
          kernels_for<Arch>(Metric::inner_product),
          element_kernels_of<Arch>,
          panel_kernels<Arch>(),
          code_kernels<Arch>(),
          nibble_kernels<Arch>()};
}

/// What an architecture of xsimd's is called here.
template <class Arch>
[[nodiscard]] consteval SimdLevel level_of() {
  if (Lanes<Arch>::vnni) return SimdLevel::avx512_vnni;
  if (Lanes<Arch>::width == 16) return SimdLevel::avx512;
  if (std::is_base_of_v<xsimd::avx2, Arch>) return SimdLevel::avx2;
  return std::is_same_v<Arch, xsimd::neon64> ? SimdLevel::neon : SimdLevel::baseline;
}

template <class Arch>
inline constexpr KernelSet kernel_set_of = make_kernel_set<Arch>(level_of<Arch>());

// One unit each: dispatch_unit.cpp. They are there where the program is linked with quiver::dispatch.
extern const KernelSet baseline_set;
#if defined(__x86_64__)
extern const KernelSet avx2_set, avx512_set, avx512_vnni_set;
#elif defined(__aarch64__)
extern const KernelSet neon_set;
#endif

}  // namespace detail
}  // namespace quiver
