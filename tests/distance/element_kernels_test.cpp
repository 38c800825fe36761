#include <quiver/distance/element_kernels.hpp>

#include <quiver/distance/kernel_set.hpp>
#include <quiver/distance/oracle.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/guarded_floats.hpp"
#include "distance/vectors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <tuple>
#include <type_traits>
#include <vector>

using namespace quiver;
using namespace quiver::detail;

namespace quiver::test::element_kernel_tests {

/// Every set of instructions that the compiler's flags allow, each of which has kernels of its own.
#if defined(__AVX512BW__)
using Architectures = std::tuple<NativeArch, xsimd::avx512bw, xsimd::fma3<xsimd::avx2>, xsimd::sse2, PortableArch>;
#elif defined(__AVX2__) && defined(__FMA__)
using Architectures = std::tuple<NativeArch, xsimd::sse2, PortableArch>;
#else
using Architectures = std::tuple<NativeArch, PortableArch>;
#endif

constexpr Metric formulas[] = {Metric::l2, Metric::inner_product};

[[nodiscard]] std::vector<std::size_t> many_dimensions() {
  std::vector<std::size_t> out;
  for (std::size_t dimension = 1; dimension <= 135; ++dimension) out.push_back(dimension);
  for (const std::size_t dimension : {191u, 255u, 256u, 257u, 384u, 784u, 1023u, 1279u, 1280u, 1281u, 4097u}) out.push_back(dimension);
  return out;
}

template <class Arch>
[[nodiscard]] const Kernels& rows_of(Element element, Metric metric) {
  return kernel_set_of<Arch>.rows(element, metric);
}

// What the numbers of a type are called, and some of them.
template <class T>
constexpr Element element_of = std::is_same_v<T, Half>          ? Element::float16
                               : std::is_same_v<T, std::int8_t> ? Element::int8
                                                                : Element::uint8;
template <class T>
using Asked = std::conditional_t<std::is_same_v<T, Half>, float, T>;

[[nodiscard]] float value(Half h) { return half_to_float(h); }
[[nodiscard]] float value(std::int8_t x) { return x; }
[[nodiscard]] float value(std::uint8_t x) { return x; }
[[nodiscard]] float value(float x) { return x; }

template <class T>
void fill_any(std::span<T> out, std::mt19937& random) {
  for (auto& x : out) {
    if constexpr (std::is_same_v<T, float>)
      x = std::ldexp(static_cast<float>(random() % 2001) - 1000, static_cast<int>(random() % 24) - 12);
    else if constexpr (std::is_same_v<T, Half>)
      do x = Half{static_cast<std::uint16_t>(random() & 0xFFFFu)};
      while ((x.bits & 0x7C00u) == 0x7C00u);
    else
      x = static_cast<T>(random() & 0xFFu);
  }
}
template <class T>
[[nodiscard]] std::vector<float> floats_of(std::span<const T> from) {
  std::vector<float> out;
  for (const auto x : from) out.push_back(value(x));
  return out;
}
[[nodiscard]] double exact(Metric metric, std::span<const float> a, std::span<const float> b) {
  return metric == Metric::l2 ? oracle_l2(a, b) : oracle_dot(a, b);
}
[[nodiscard]] double magnitude(Metric metric, std::span<const float> a, std::span<const float> b) {
  if (metric == Metric::l2) return oracle_l2(a, b);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
  return sum;
}
/// In whole numbers, one after another.
template <class T>
[[nodiscard]] float whole_sum(Metric metric, std::span<const T> a, std::span<const T> b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::int64_t x = a[i], y = b[i];
    sum += metric == Metric::l2 ? (x - y) * (x - y) : x * y;
  }
  return static_cast<float>(sum);
}
[[nodiscard]] std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

/// `count` numbers between pages that may not be read.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t count, bool at_front = false) : floats_((count * sizeof(T) + 3) / 4, at_front), count_(count), at_front_(at_front) {}
  [[nodiscard]] std::span<T> span() const {
    auto* const first = reinterpret_cast<std::byte*>(floats_.data());
    return {reinterpret_cast<T*>(at_front_ ? first : first + floats_.span().size_bytes() - count_ * sizeof(T)), count_};
  }

 private:
  GuardedFloats floats_;
  std::size_t count_;
  bool at_front_;
};

/// Every shape of kernel gives for each pair the bits of one(), nothing beyond the rows being read.
template <class Arch, class T>
void shapes_agree() {
  std::mt19937 random(3);
  for (const auto metric : formulas)
    for (const std::size_t dimension : {1u, 2u, 3u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 47u, 64u, 65u, 127u, 129u, 1280u, 1301u})
      for (const std::size_t count : {1u, 2u, 3u, 8u, 11u})
        for (const bool at_front : {false, true}) {
          constexpr std::size_t queries = 3;
          const Guarded<T> rows(count * dimension, at_front);
          const Guarded<Asked<T>> asked(queries * dimension, at_front);
          fill_any(rows.span(), random);
          fill_any(asked.span(), random);
          const auto& kernels = rows_of<Arch>(element_of<T>, metric);
          const void* pointers[queries];
          for (std::size_t q = 0; q < queries; ++q) pointers[q] = asked.span().data() + q * dimension;
          std::vector<std::uint32_t> backwards(count);
          for (std::size_t r = 0; r < count; ++r) backwards[r] = static_cast<std::uint32_t>(count - 1 - r);
          std::vector<float> batch(queries * count), many(count), gathered(count);
          kernels.batch(pointers, queries, rows.span().data(), count, dimension, batch.data());
          std::size_t different = 0;
          for (std::size_t q = 0; q < queries; ++q) {
            kernels.many(pointers[q], rows.span().data(), count, dimension, many.data());
            kernels.gather(pointers[q], rows.span().data(), dimension, backwards.data(), count, gathered.data());
            for (std::size_t r = 0; r < count; ++r) {
              const auto one = bits(kernels.one(pointers[q], rows.span().data() + r * dimension, dimension));
              different += one != bits(many[r]);
              different += one != bits(gathered[count - 1 - r]);
              different += one != bits(batch[q * count + r]);
            }
          }
          BOOST_TEST(different == 0u, "dimension " << dimension << ", " << count << " rows");
        }
}

template <class Arch, class T>
void bytes_are_exact() {
  std::mt19937 random(1);
  auto dimensions = many_dimensions();
  // Beyond what sums of 32 bits hold.
  for (const std::size_t dimension : {16'384u, 32'767u, 32'768u, 65'535u, 65'536u, 65'537u, 65'568u, 100'003u, 131'073u}) dimensions.push_back(dimension);
  constexpr T least = std::numeric_limits<T>::min(), greatest = std::numeric_limits<T>::max();
  const std::pair<T, T> extremes[] = {{least, least}, {least, greatest}, {greatest, greatest}};
  for (const auto dimension : dimensions) {
    std::vector<T> a(dimension), b(dimension);
    for (std::size_t kind = 0; kind < 4; ++kind) {
      if (kind == 3) {
        fill_any<T>(a, random);
        fill_any<T>(b, random);
      } else {
        std::fill(a.begin(), a.end(), extremes[kind].first);
        std::fill(b.begin(), b.end(), extremes[kind].second);
      }
      for (const auto metric : formulas) {
        const auto sum = whole_sum<T>(metric, a, b);
        BOOST_TEST(bits(rows_of<Arch>(element_of<T>, metric).one(a.data(), b.data(), dimension)) == bits(sum), "dimension " << dimension << ", kind " << kind);
        // The oracle of all kernels says the same, to the last bit of a float.
        BOOST_TEST(static_cast<float>(exact(metric, floats_of<T>(a), floats_of<T>(b))) == sum);
      }
    }
  }
}

}  // namespace quiver::test::element_kernel_tests

using namespace quiver::test::element_kernel_tests;
using quiver::test::all_kinds;

BOOST_AUTO_TEST_SUITE(element_kernels)

BOOST_AUTO_TEST_CASE_TEMPLATE(every_half_is_widened_exactly, Arch, Architectures) {
  std::vector<Half> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<std::uint16_t>(i);
  std::vector<float> wide(all.size());
  kernel_set_of<Arch>.elements.widen(Element::float16, all.data(), all.size(), wide.data());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float expected = half_to_float(all[i]);
    wrong += expected != expected ? wide[i] == wide[i] : bits(expected) != bits(wide[i]);  // a NaN may become a quiet one
  }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(numbers_of_every_kind_are_widened_up_to_the_last_one, Arch, Architectures) {
  std::mt19937 random(4);
  const auto check = [&]<class T>(std::type_identity<T>, Element element) {
    for (std::size_t count = 1; count <= 70; ++count) {
      const Guarded<T> from(count);
      const Guarded<float> to(count);
      fill_any(from.span(), random);
      kernel_set_of<Arch>.elements.widen(element, from.span().data(), count, to.span().data());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < count; ++i) wrong += to.span()[i] != value(from.span()[i]);
      BOOST_TEST(wrong == 0u, "element " << static_cast<int>(element) << ", " << count);
    }
  };
  check(std::type_identity<float>{}, Element::float32);
  check(std::type_identity<Half>{}, Element::float16);
  check(std::type_identity<std::int8_t>{}, Element::int8);
  check(std::type_identity<std::uint8_t>{}, Element::uint8);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sums_over_halves_are_as_near_to_the_oracle_as_promised, Arch, Architectures) {
  std::mt19937 random(1);
  auto dimensions = many_dimensions();
  dimensions.push_back(65'536);
  for (const auto metric : formulas)
    for (const auto dimension : dimensions)
      for (const auto kind : all_kinds) {
        std::vector<float> query(dimension);
        test::fill(query, kind, random);
        std::vector<Half> row(dimension);
        fill_any<Half>(row, random);
        const auto floats = floats_of<Half>(row);
        const double m = magnitude(metric, query, floats), allowed = sum_error(dimension) * m + underflow_error(dimension);
        if (m + allowed >= static_cast<double>(std::numeric_limits<float>::max())) continue;
        const float result = rows_of<Arch>(Element::float16, metric).one(query.data(), row.data(), dimension);
        BOOST_TEST(std::abs(static_cast<double>(result) - exact(metric, query, floats)) <= allowed, "dimension " << dimension << ", " << test::to_string(kind));
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(halves_give_the_bits_of_the_floats_that_they_are, Arch, Architectures) {
  std::mt19937 random(2);
  for (const auto metric : formulas)
    for (const auto dimension : many_dimensions()) {
      std::vector<Half> a(dimension), b(dimension);
      fill_any<Half>(a, random);
      fill_any<Half>(b, random);
      const auto wide_a = floats_of<Half>(a), wide_b = floats_of<Half>(b);
      const auto& set = kernel_set_of<Arch>;
      const auto floats = bits(set.floats(metric).one(wide_a.data(), wide_b.data(), dimension));
      BOOST_TEST(bits(set.rows(Element::float16, metric).one(wide_a.data(), b.data(), dimension)) == floats);
      BOOST_TEST(bits(set.pairs(Element::float16, metric).one(a.data(), b.data(), dimension)) == floats);
      const std::uint32_t which[] = {0};
      float gathered = 0;
      set.pairs(Element::float16, metric).gather(a.data(), b.data(), dimension, which, 1, &gathered);
      BOOST_TEST(bits(gathered) == floats);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sums_over_int8_are_exact_in_every_dimension, Arch, Architectures) { bytes_are_exact<Arch, std::int8_t>(); }
BOOST_AUTO_TEST_CASE_TEMPLATE(sums_over_uint8_are_exact_in_every_dimension, Arch, Architectures) { bytes_are_exact<Arch, std::uint8_t>(); }

BOOST_AUTO_TEST_CASE_TEMPLATE(all_shapes_over_halves_agree_and_stay_within_the_rows, Arch, Architectures) { shapes_agree<Arch, Half>(); }
BOOST_AUTO_TEST_CASE_TEMPLATE(all_shapes_over_int8_agree_and_stay_within_the_rows, Arch, Architectures) { shapes_agree<Arch, std::int8_t>(); }
BOOST_AUTO_TEST_CASE_TEMPLATE(all_shapes_over_uint8_agree_and_stay_within_the_rows, Arch, Architectures) { shapes_agree<Arch, std::uint8_t>(); }

BOOST_AUTO_TEST_SUITE_END()
