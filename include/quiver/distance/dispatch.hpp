// Which kernels a query takes: those of the compiler's flags, or, with QUIVER_RUNTIME_DISPATCH, the best of the package's units that this processor can run.
#pragma once

#include <quiver/distance/kernel_set.hpp>

#include <array>
#include <atomic>
#include <cstdlib>
#include <optional>
#include <string_view>

#if defined(QUIVER_RUNTIME_DISPATCH) && defined(__x86_64__)
#include <cpuid.h>
#endif

namespace quiver {
namespace detail {

/// Stands for the set that was chosen when the program started, or by use_simd().
struct ChosenArch {};

/// The architecture of a query that asks for none.
#if defined(QUIVER_RUNTIME_DISPATCH)
using DefaultArch = ChosenArch;
#else
using DefaultArch = NativeArch;
#endif

#if defined(QUIVER_RUNTIME_DISPATCH)

#if defined(__x86_64__)
inline constexpr std::array<const KernelSet*, 4> unit_sets{&baseline_set, &avx2_set, &avx512_set, &avx512_vnni_set};
#elif defined(__aarch64__)
inline constexpr std::array<const KernelSet*, 2> unit_sets{&baseline_set, &neon_set};
#else
inline constexpr std::array<const KernelSet*, 1> unit_sets{&baseline_set};
#endif

#if defined(__x86_64__)
/// Whether this processor widens halves by itself, which compilers have no word for. REQUIRES: its system keeps the registers of AVX.
[[nodiscard]] inline bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

/// Whether this processor has the instructions of a unit, and its system keeps their registers: as dispatch_unit.cpp is compiled.
[[nodiscard]] inline bool machine_has(SimdLevel level) noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  switch (level) {
    case SimdLevel::baseline:
      return true;
    case SimdLevel::avx2:
      return avx2;
    case SimdLevel::avx512:
      return avx512;
    case SimdLevel::avx512_vnni:
      return avx512 && __builtin_cpu_supports("avx512vnni");
    case SimdLevel::neon:
      break;
  }
  return false;
#elif defined(__aarch64__)
  return level == SimdLevel::baseline || level == SimdLevel::neon;
#else
  return level == SimdLevel::baseline;
#endif
}

/// The best set that this machine has and that is not above `most`; a level that this kind of machine never has limits nothing.
[[nodiscard]] inline const KernelSet& best_set(std::optional<SimdLevel> most) noexcept {
  bool known = false;
  for (const auto* set : unit_sets) known = known || set->level == most;
  const KernelSet* best = unit_sets.front();
  for (const auto* set : unit_sets)
    if ((!known || set->level <= *most) && machine_has(set->level)) best = set;
  return *best;
}

/// What QUIVER_SIMD_LEVEL says, nothing where it is not set or names no level.
[[nodiscard]] inline std::optional<SimdLevel> level_of_environment() noexcept {
  const char* const text = std::getenv("QUIVER_SIMD_LEVEL");
  if (text == nullptr) return std::nullopt;
  for (const auto* set : unit_sets)
    if (to_string(set->level) == text) return set->level;
  return std::nullopt;
}

/// The one piece of global state. It points to constants, so no order beyond the pointer's own is asked for.
[[nodiscard]] inline std::atomic<const KernelSet*>& chosen_set() noexcept {
  static std::atomic<const KernelSet*> set(&best_set(level_of_environment()));
  return set;
}

#endif

/// The kernels of an architecture.
template <class Arch = DefaultArch>
[[nodiscard]] inline const KernelSet& kernel_set() noexcept {
#if defined(QUIVER_RUNTIME_DISPATCH)
  if constexpr (std::is_same_v<Arch, ChosenArch>)
    return *chosen_set().load(std::memory_order_relaxed);
  else
    return kernel_set_of<Arch>;
#else
  return kernel_set_of<Arch>;
#endif
}

}  // namespace detail

/// The instruction set whose kernels searches that begin now take. Any thread.
[[nodiscard]] inline SimdLevel simd_level() noexcept { return detail::kernel_set<>().level; }

/// Lets searches that begin from now on use the best set that this machine has and that is not above `most`, and returns its level; a level that this kind of
/// machine never has limits nothing. Without a call it is the best set of all, or as far as the environment variable QUIVER_SIMD_LEVEL (`baseline`, `avx2`,
/// `avx512`, `avx512_vnni`, `neon`) lets it be. Any thread, best before the first search: queries in flight keep the set that they began with, and two sets may
/// differ in the last bits of a distance.
/// A program without QUIVER_RUNTIME_DISPATCH has one set, that of its compiler's flags: nothing changes, and its level is returned.
inline SimdLevel use_simd([[maybe_unused]] SimdLevel most) noexcept {
#if defined(QUIVER_RUNTIME_DISPATCH)
  detail::chosen_set().store(&detail::best_set(most), std::memory_order_relaxed);
#endif
  return simd_level();
}

}  // namespace quiver
