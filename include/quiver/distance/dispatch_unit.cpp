// The kernels of one instruction set. cmake/quiverDispatch.cmake compiles this file once for each, with that set's own flags and one macro that names it.
// An inline function that is compiled here for a new processor must not be taken by the linker for a part of the program that runs on an old one. So each
// unit has an architecture of its own, which nothing else names, and everything that it emits for others to see carries that name: the build checks it.
#include <quiver/distance/kernel_set.hpp>

namespace quiver::detail {

#if defined(QUIVER_UNIT_BASELINE)
struct BaselineUnit {};
#if defined(__x86_64__)
template <>
struct Lanes<BaselineUnit> : Lanes<xsimd::sse2> {};
#else
template <>
struct Lanes<BaselineUnit> : Lanes<PortableArch> {};
#endif
constinit const KernelSet baseline_set = make_kernel_set<BaselineUnit>(SimdLevel::baseline);

#elif defined(QUIVER_UNIT_AVX2)
struct Avx2Unit {};
template <>
struct Lanes<Avx2Unit> : Lanes<xsimd::fma3<xsimd::avx2>> {};
constinit const KernelSet avx2_set = make_kernel_set<Avx2Unit>(SimdLevel::avx2);

#elif defined(QUIVER_UNIT_AVX512)
struct Avx512Unit {};
template <>
struct Lanes<Avx512Unit> : Lanes<xsimd::avx512bw> {};
constinit const KernelSet avx512_set = make_kernel_set<Avx512Unit>(SimdLevel::avx512);

#elif defined(QUIVER_UNIT_AVX512_VNNI)
struct Avx512VnniUnit {};
template <>
struct Lanes<Avx512VnniUnit> : Lanes<Avx512Vnni> {};
constinit const KernelSet avx512_vnni_set = make_kernel_set<Avx512VnniUnit>(SimdLevel::avx512_vnni);

#elif defined(QUIVER_UNIT_NEON)
struct NeonUnit {};
template <>
struct Lanes<NeonUnit> : Lanes<xsimd::neon64> {};
constinit const KernelSet neon_set = make_kernel_set<NeonUnit>(SimdLevel::neon);

#else
#error "Which unit? Compile this file through cmake/quiverDispatch.cmake."
#endif

}  // namespace quiver::detail
