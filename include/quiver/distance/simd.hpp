// The one door to xsimd: what differs between 8.1 and later versions is settled here.
#pragma once

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace quiver::detail {

/// The instruction set that this translation unit is compiled for.
using DefaultArch = xsimd::default_arch;

/// A register of floats.
template <class Arch>
using Lanes = xsimd::batch<float, Arch>;

/// The sum of all lanes.
template <class Arch>
[[nodiscard]] inline float sum_lanes(const Lanes<Arch>& lanes) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(lanes);
#else
  return xsimd::hadd(lanes);
#endif
}

/// The first `count` floats at `from`, the other lanes zero. REQUIRES: count < lanes.
template <class Arch>
[[nodiscard]] inline Lanes<Arch> load_partial(const float* from, std::size_t count) {
  alignas(64) std::array<float, Lanes<Arch>::size> padded{};
  std::copy_n(from, count, padded.data());
  return Lanes<Arch>::load_aligned(padded.data());
}

}  // namespace quiver::detail
