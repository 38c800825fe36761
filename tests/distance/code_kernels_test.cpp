#include <quiver/distance/code_kernels.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/guarded_floats.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

using namespace quiver::detail;

namespace quiver::test::code_kernel_tests {

/// Every set of instructions that the compiler's flags allow, each of which has a kernel of its own.
#if defined(__AVX512BW__)
using Architectures = std::tuple<NativeArch, xsimd::avx2, xsimd::sse2, PortableArch>;
#elif defined(__AVX__)
using Architectures = std::tuple<NativeArch, xsimd::sse2, PortableArch>;
#else
using Architectures = std::tuple<NativeArch, PortableArch>;
#endif

[[nodiscard]] std::size_t padded_to_blocks(std::size_t dimension) { return (dimension + code_block - 1) / code_block * code_block; }

/// Weights within largest_weight() of the dimension, zeros behind them.
[[nodiscard]] std::vector<std::int16_t> random_weights(std::size_t dimension, std::mt19937& random) {
  std::uniform_int_distribution<int> any(-largest_weight(dimension), largest_weight(dimension));
  std::vector<std::int16_t> weights(padded_to_blocks(dimension));
  std::generate_n(weights.begin(), dimension, [&] { return static_cast<std::int16_t>(any(random)); });
  return weights;
}
void fill_with_codes(std::span<std::int8_t> codes, std::mt19937& random) {
  std::uniform_int_distribution<int> any(-128, 127);
  std::generate(codes.begin(), codes.end(), [&] { return static_cast<std::int8_t>(any(random)); });
}
[[nodiscard]] const std::byte* as_row(const std::int8_t* codes) { return reinterpret_cast<const std::byte*>(codes); }
/// In 64 bits, where nothing can overflow.
[[nodiscard]] std::int64_t exact(const std::int8_t* codes, const std::vector<std::int16_t>& weights) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += std::int64_t{codes[i]} * weights[i];
  return sum;
}

}  // namespace quiver::test::code_kernel_tests

using quiver::test::GuardedFloats;
using namespace quiver::test::code_kernel_tests;

BOOST_AUTO_TEST_SUITE(code_kernels_suite)

BOOST_AUTO_TEST_CASE(whole_numbers_have_registers_wherever_floats_have) {
  BOOST_TEST(code_lanes<PortableArch> == 0u);
#if defined(__AVX512BW__)
  constexpr std::size_t expected = 64;
#elif defined(__AVX2__)
  constexpr std::size_t expected = 32;
#elif defined(__SSE2__) || defined(__aarch64__)
  constexpr std::size_t expected = 16;  // AVX has no more for them
#else
  constexpr std::size_t expected = 0;
#endif
  BOOST_TEST(code_lanes<NativeArch> == expected);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(products_are_exact_in_every_dimension_and_wherever_rows_begin, Arch, Architectures) {
  std::mt19937 random(1);
  for (std::size_t dimension = 1; dimension <= 300; ++dimension) {
    const auto weights = random_weights(dimension, random);
    for (std::size_t from = 0; from < 5; ++from) {
      std::vector<std::int8_t> codes(from + weights.size());  // what stands behind the row is multiplied with zeros
      fill_with_codes(codes, random);
      const auto product = code_kernels<Arch>().dot(as_row(&codes[from]), weights.data(), weights.size());
      BOOST_TEST(product == CodeProduct<Arch>::oracle(as_row(&codes[from]), weights.data(), weights.size()), "dimension " << dimension << ", from " << from);
      BOOST_TEST(product == exact(&codes[from], weights), "dimension " << dimension << ", from " << from);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_largest_sums_do_not_overflow, Arch, Architectures) {
  for (const std::size_t dimension : {1u, 63u, 64u, 65u, 500u, 511u, 512u, 513u, 514u, 1023u, 1024u, 1536u, 4096u, 10'000u, 32'769u, 65'535u, 65'536u}) {
    BOOST_REQUIRE(dimension <= max_code_dimension);
    std::vector<std::int8_t> codes(padded_to_blocks(dimension));
    std::vector<std::int16_t> weights(codes.size());
    for (const int code : {-128, 127})
      for (const int sign : {-1, 1})
        for (const bool alternating : {false, true}) {
          std::fill(codes.begin(), codes.end(), static_cast<std::int8_t>(code));
          for (std::size_t i = 0; i < dimension; ++i)
            weights[i] = static_cast<std::int16_t>(largest_weight(dimension) * (alternating && i % 2 == 1 ? -sign : sign));
          const auto sum = exact(codes.data(), weights);
          BOOST_TEST((sum >= std::numeric_limits<std::int32_t>::min() && sum <= std::numeric_limits<std::int32_t>::max()), "dimension " << dimension);
          BOOST_TEST(code_kernels<Arch>().dot(as_row(codes.data()), weights.data(), weights.size()) == sum, "dimension " << dimension);
        }
  }
}

BOOST_AUTO_TEST_CASE(no_larger_weight_would_do) {
  for (std::size_t dimension = 1; dimension <= max_code_dimension; ++dimension) {
    const auto most = std::int64_t{largest_weight(dimension)}, bound = std::int64_t{1} << 31, width = static_cast<std::int64_t>(dimension);
    const bool fits = most > 0 && most * 128 * width < bound && (most == 32'767 || (most + 2) * 128 * width > bound);
    if (!fits) BOOST_TEST(fits, "dimension " << dimension << ", weight " << most);
  }
  BOOST_TEST(largest_weight(0) == 32'767);
  BOOST_TEST(largest_weight(max_code_dimension) == 255);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_are_gathered_in_any_order_and_of_any_stride, Arch, Architectures) {
  std::mt19937 random(2);
  constexpr std::size_t rows = 30;
  for (const std::size_t dimension : {1u, 3u, 17u, 63u, 64u, 65u, 100u, 128u, 129u, 300u})
    for (const std::size_t more : {0u, 1u, 3u, 4u, 5u, 64u, 77u}) {
      const auto weights = random_weights(dimension, random);
      const auto stride = dimension + more;
      std::vector<std::int8_t> codes(rows * stride + code_block);
      fill_with_codes(codes, random);
      for (const std::size_t count : {0u, 1u, 2u, 11u, 12u, 13u, 40u}) {
        std::vector<std::uint32_t> which(count);
        std::generate(which.begin(), which.end(), [&] { return static_cast<std::uint32_t>(random() % rows); });
        if (count == 40) std::iota(which.begin(), which.begin() + rows, 0u), std::reverse(which.begin(), which.begin() + rows);
        std::vector<std::int32_t> out(count, 7), expected;
        for (const auto row : which) expected.push_back(code_kernels<Arch>().dot(as_row(&codes[row * stride]), weights.data(), weights.size()));
        code_kernels<Arch>().gather(as_row(codes.data()), stride, weights.data(), weights.size(), which.data(), count, out.data());
        BOOST_TEST((out == expected), "dimension " << dimension << ", stride " << stride << ", " << count << " rows");
      }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_but_the_padded_row_and_the_weights_is_read, Arch, Architectures) {
  for (const bool at_front : {false, true})
    for (std::size_t dimension = 1; dimension <= 200; ++dimension) {
      const auto padded = padded_to_blocks(dimension);
      const GuardedFloats row(padded / sizeof(float), at_front), weights(padded / sizeof(float) * 2, at_front);
      std::memset(row.data(), 2, padded);
      auto* const numbers = reinterpret_cast<std::int16_t*>(weights.data());
      std::fill_n(numbers, dimension, std::int16_t{3});
      const auto product = code_kernels<Arch>().dot(std::as_bytes(row.span()).data(), numbers, padded);
      BOOST_TEST(product == static_cast<std::int32_t>(dimension * 6));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_more_than_a_block_behind_the_last_row_is_read, Arch, Architectures) {
  constexpr std::size_t rows = 3;
  for (std::size_t dimension = 1; dimension <= 200; ++dimension)
    for (const std::size_t more : {0u, 1u, 4u}) {
      const auto stride = dimension + more, bytes = rows * stride + code_block;
      const GuardedFloats memory((bytes + 3) / sizeof(float));
      const auto all = std::as_writable_bytes(memory.span()).last(bytes);  // up to the page that may not be read
      std::memset(all.data(), 1, bytes);
      std::vector<std::int16_t> weights(padded_to_blocks(dimension));
      std::fill_n(weights.begin(), dimension, std::int16_t{5});
      const std::uint32_t which[] = {2, 0, 2, 1};
      std::int32_t out[4] = {};
      code_kernels<Arch>().gather(all.data(), stride, weights.data(), weights.size(), which, 4, out);
      for (const auto product : out) BOOST_TEST(product == static_cast<std::int32_t>(dimension * 5));
    }
}

BOOST_AUTO_TEST_SUITE_END()
