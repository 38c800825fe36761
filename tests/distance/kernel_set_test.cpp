#include <quiver/distance/dispatch.hpp>

#include <quiver/index/flat.hpp>

#include <boost/test/unit_test.hpp>

#include <array>

using namespace quiver;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(kernel_set_of_the_flags)

BOOST_AUTO_TEST_CASE(a_set_holds_the_kernels_of_its_architecture) {
  const KernelSet& set = kernel_set<PortableArch>();
  BOOST_TEST((set.level == SimdLevel::baseline));
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine})
    BOOST_TEST((set.floats(metric).gather == kernels_for<PortableArch>(metric).gather));
  BOOST_TEST((set.panels.select == panel_kernels<PortableArch>().select));
  BOOST_TEST((set.codes.dot == code_kernels<PortableArch>().dot));
  BOOST_TEST((set.nibbles.dot == nibble_kernels<PortableArch>().dot));
}

BOOST_AUTO_TEST_CASE(every_level_has_a_name_of_its_own) {
  constexpr std::array all{SimdLevel::baseline, SimdLevel::avx2, SimdLevel::avx512, SimdLevel::avx512_vnni, SimdLevel::neon};
  for (const auto a : all)
    for (const auto b : all) BOOST_TEST((to_string(a) == to_string(b)) == (a == b));
}

#if !defined(QUIVER_RUNTIME_DISPATCH)
BOOST_AUTO_TEST_CASE(without_units_queries_take_the_kernels_of_the_compilers_flags_and_use_simd_changes_nothing) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
  constexpr auto expected = SimdLevel::avx512_vnni;
#elif defined(__AVX512F__)
  constexpr auto expected = SimdLevel::avx512;
#elif defined(__AVX2__)
  constexpr auto expected = SimdLevel::avx2;
#elif defined(__aarch64__)
  constexpr auto expected = SimdLevel::neon;
#else
  constexpr auto expected = SimdLevel::baseline;
#endif
  BOOST_TEST((simd_level() == expected));
  BOOST_TEST((use_simd(SimdLevel::baseline) == expected));
  BOOST_TEST((use_simd(SimdLevel::avx512_vnni) == expected));
  const std::array<float, 3> values{1, 2, 3};
  const FlatQuery query(Metric::l2, values);
  BOOST_TEST((query.kernels().many == kernels_for<NativeArch>(Metric::l2).many));
  BOOST_TEST((query.panels().select == panel_kernels<NativeArch>().select));
}
#endif

BOOST_AUTO_TEST_SUITE_END()
