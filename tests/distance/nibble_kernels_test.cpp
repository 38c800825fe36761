#include <quiver/distance/nibble_kernels.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/guarded_floats.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

using namespace quiver::detail;

namespace quiver::test::nibble_kernel_tests {

/// Every set of instructions that the compiler's flags allow, each of which has a kernel of its own.
#if defined(__AVX512BW__)
using Architectures = std::tuple<NativeArch, xsimd::avx512bw, xsimd::avx2, xsimd::sse2, PortableArch>;
#elif defined(__AVX__)
using Architectures = std::tuple<NativeArch, xsimd::sse2, PortableArch>;
#else
using Architectures = std::tuple<NativeArch, PortableArch>;
#endif

/// A row of `bytes` bytes, of which the kernels look at `padded`, and weights that are zero behind the row.
struct Sample {
  Sample(std::size_t bytes, std::mt19937& random) : padded((bytes + code_block - 1) / code_block * code_block), codes(padded + 5), weights(2 * padded) {
    std::generate(codes.begin(), codes.end(), [&] { return static_cast<std::byte>(random() % 256); });
    std::uniform_int_distribution<int> any(-largest_nibble_weight, largest_nibble_weight);
    for (std::size_t i = 0; i < bytes; ++i)
      for (const auto plane : {std::size_t{0}, padded}) weights[plane + i] = static_cast<std::int8_t>(any(random));
  }
  /// In 64 bits, nibble by nibble as they are numbered.
  [[nodiscard]] std::int64_t exact(std::size_t from) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < 2 * padded; ++i) {
      const int byte = std::to_integer<int>(codes[from + i / 2]);
      sum += std::int64_t{i % 2 == 0 ? byte % 16 : byte / 16} * weights[i % 2 * padded + i / 2];
    }
    return sum;
  }
  std::size_t padded;
  std::vector<std::byte> codes;
  std::vector<std::int8_t> weights;
};

}  // namespace quiver::test::nibble_kernel_tests

using quiver::test::GuardedFloats;
using namespace quiver::test::nibble_kernel_tests;

BOOST_AUTO_TEST_SUITE(nibble_kernels_suite)

BOOST_AUTO_TEST_CASE_TEMPLATE(products_of_nibbles_are_exact_in_every_length_and_wherever_rows_begin, Arch, Architectures) {
  std::mt19937 random(1);
  for (std::size_t bytes = 1; bytes <= 300; ++bytes) {
    const Sample sample(bytes, random);
    for (std::size_t from = 0; from < 5; ++from) {
      const auto product = nibble_kernels<Arch>().dot(&sample.codes[from], sample.weights.data(), sample.padded);
      BOOST_TEST(product == sample.exact(from), bytes << " bytes, from " << from);
      BOOST_TEST(product == NibbleProduct<Arch>::oracle(&sample.codes[from], sample.weights.data(), sample.padded), bytes << " bytes, from " << from);
    }
  }
}

// Where two products are added in 16 bits, and where all are in 32.
BOOST_AUTO_TEST_CASE_TEMPLATE(the_largest_sums_of_nibbles_do_not_overflow, Arch, Architectures) {
  std::mt19937 random(2);
  for (const std::size_t padded : {64u, 128u, 4096u, 32'768u}) {
    BOOST_REQUIRE(2 * padded <= max_code_dimension);
    Sample sample(padded, random);
    for (const auto byte : {std::byte{0xFF}, std::byte{0x0F}, std::byte{0xF0}, std::byte{0}})
      for (const int sign : {-1, 1})
        for (const bool alternating : {false, true}) {
          std::fill(sample.codes.begin(), sample.codes.end(), byte);
          for (std::size_t i = 0; i < 2 * padded; ++i)
            sample.weights[i] = static_cast<std::int8_t>(largest_nibble_weight * (alternating && i % 2 == 1 ? -sign : sign));
          BOOST_TEST(nibble_kernels<Arch>().dot(sample.codes.data(), sample.weights.data(), padded) == sample.exact(0), padded << " bytes");
        }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_of_nibbles_are_gathered_in_any_order_and_of_any_stride, Arch, Architectures) {
  std::mt19937 random(3);
  constexpr std::size_t rows = 30;
  for (const std::size_t bytes : {1u, 4u, 17u, 63u, 64u, 65u, 392u})
    for (const std::size_t more : {0u, 1u, 4u, 64u}) {
      const Sample sample(bytes, random);
      const auto stride = bytes + more;
      std::vector<std::byte> codes(rows * stride + code_block);
      std::generate(codes.begin(), codes.end(), [&] { return static_cast<std::byte>(random() % 256); });
      for (const std::size_t count : {0u, 1u, 12u, 40u}) {
        std::vector<std::uint32_t> which(count);
        std::generate(which.begin(), which.end(), [&] { return static_cast<std::uint32_t>(random() % rows); });
        std::vector<std::int32_t> out(count, 7), expected;
        for (const auto row : which) expected.push_back(NibbleProduct<PortableArch>::oracle(&codes[row * stride], sample.weights.data(), sample.padded));
        nibble_kernels<Arch>().gather(codes.data(), stride, sample.weights.data(), sample.padded, which.data(), count, out.data());
        BOOST_TEST((out == expected), bytes << " bytes, stride " << stride << ", " << count << " rows");
      }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_but_the_padded_nibbles_and_their_weights_is_read, Arch, Architectures) {
  for (const bool at_front : {false, true})
    for (std::size_t bytes = 1; bytes <= 200; ++bytes) {
      const auto padded = (bytes + code_block - 1) / code_block * code_block;
      const GuardedFloats row(padded / sizeof(float), at_front), weights(2 * padded / sizeof(float), at_front);
      std::memset(row.data(), 0x21, padded);
      auto* const numbers = reinterpret_cast<std::int8_t*>(weights.data());
      std::memset(numbers, 0, 2 * padded);
      std::fill_n(numbers, bytes, std::int8_t{3}), std::fill_n(numbers + padded, bytes, std::int8_t{-5});
      BOOST_TEST(nibble_kernels<Arch>().dot(std::as_bytes(row.span()).data(), numbers, padded) == static_cast<std::int32_t>(bytes) * (3 - 10));
    }
}

BOOST_AUTO_TEST_SUITE_END()
