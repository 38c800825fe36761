// SIMD kernels of floats and halves: squared L2 and inner product, one-to-one, one-to-many, many-to-many, as templates on the architecture.
#pragma once

#include <quiver/core/types.hpp>
#include <quiver/distance/simd.hpp>

#include <algorithm>
#include <array>

namespace quiver::detail {

/// The kernels of one formula for one kind of numbers and one architecture. All of them give the same bits for the same pair of vectors, whichever is called.
/// What the numbers of a query and those of a row are, KernelSet says, which hands them out.
/// REQUIRES of all: dimension >= 1; rows lie one behind the other; no alignment beyond that of their numbers. Nothing beyond the rows is read.
///
/// Error where numbers are floats or halves, with E the exact result and M the sum of the terms' magnitudes (M = E under L2, the sum of |a[i] * b[i]| under the
/// inner product): |result - E| <= sum_error(dimension) * M + underflow_error(dimension) (oracle.hpp). Where a difference or M is beyond the range of float the
/// result may be an infinity, and under the inner product a NaN, which metric.hpp replaces before anything is ranked.
/// Where they are bytes, the result is the float next to the exact sum, the same bits in every set.
struct Kernels {
  float (*one)(const void* query, const void* row, std::size_t dimension) noexcept;
  /// out[r] for row r of `count`.
  void (*many)(const void* query, const void* rows, std::size_t count, std::size_t dimension, float* out) noexcept;
  /// out[i] for row which[i], wherever that is. Each four are fetched while the four before them are computed; the caller fetches the first lines of the first
  /// `gather_ahead`.
  void (*gather)(const void* query, const void* rows, std::size_t dimension, const std::uint32_t* which, std::size_t count, float* out) noexcept;
  /// out[q * count + r] for query q and row r.
  void (*batch)(const void* const* queries, std::size_t query_count, const void* rows, std::size_t count, std::size_t dimension, float* out) noexcept;
};

inline constexpr std::size_t gather_ahead = 32;
inline constexpr std::size_t gathered = 4;  // rows that are computed side by side, while the lines of as many others are on their way

/// How many lines of a row of so many bytes are asked for beforehand: the first ones; gather() asks for the others while it computes the rows before.
[[nodiscard]] constexpr std::size_t lines_to_fetch(std::size_t bytes) noexcept { return std::min<std::size_t>((bytes + 63) / 64, 16); }
/// Of how many rows of so many lines a walk asks for those that it will need later: as much as stays in the first cache beside what it needs now.
[[nodiscard]] constexpr std::size_t rows_ahead(std::size_t lines) noexcept {
  return std::clamp<std::size_t>(96 / std::max<std::size_t>(lines, 1), 2, gather_ahead);
}
[[gnu::always_inline]] inline void fetch_lines(const void* from, std::size_t lines) noexcept {
  for (std::size_t line = 0; line < lines; ++line) __builtin_prefetch(static_cast<const char*>(from) + line * 64);
}

/// Adds (a - b)^2 to a sum, lane by lane.
template <class Arch>
struct SquaredDifference {
  using L = Lanes<Arch>;
  using V = typename L::Vector;
  [[gnu::always_inline]] static V add(const V& sum, const V& a, const V& b) noexcept {
    const V difference = L::subtract(a, b);
    return L::multiply_add(difference, difference, sum);
  }
  [[gnu::always_inline]] static V add_masked(const V& sum, const V& a, const V& b, const V& mask) noexcept {
    const V difference = L::both(L::subtract(a, b), mask);
    return L::multiply_add(difference, difference, sum);
  }
};

/// Adds a * b to a sum, lane by lane.
template <class Arch>
struct Product {
  using L = Lanes<Arch>;
  using V = typename L::Vector;
  [[gnu::always_inline]] static V add(const V& sum, const V& a, const V& b) noexcept { return L::multiply_add(a, b, sum); }
  [[gnu::always_inline]] static V add_masked(const V& sum, const V& a, const V& b, const V& mask) noexcept {
    return L::multiply_add(L::both(a, mask), L::both(b, mask), sum);
  }
};

/// `width` clear floats, then `width` with every bit set.
template <class Arch>
inline constexpr auto lane_masks = [] {
  std::array<float, 2 * Lanes<Arch>::width> lanes{};
  for (std::size_t i = Lanes<Arch>::width; i < lanes.size(); ++i) lanes[i] = std::bit_cast<float>(0xFFFFFFFFu);
  return lanes;
}();

/// A mask of the last `rest` lanes; 0 < rest < width.
template <class Arch>
[[nodiscard, gnu::always_inline]] inline typename Lanes<Arch>::Vector last_lanes(std::size_t rest) noexcept {
  return Lanes<Arch>::load(lane_masks<Arch>.data() + rest);
}

/// Fewer than `width` numbers, zeros behind them.
template <class Arch, class T>
[[nodiscard, gnu::always_inline]] inline typename Lanes<Arch>::Vector load_short(const T* from, std::size_t count) noexcept {
  T padded[Lanes<Arch>::width] = {};
  for (std::size_t i = 0; i < count; ++i) padded[i] = from[i];
  return Lanes<Arch>::load(padded);
}

struct NoFetch {
  [[gnu::always_inline]] void operator()(std::size_t) const noexcept {}
};
/// Asks for the lines of a row, one after another.
struct FetchRow {
  const void* row;
  [[gnu::always_inline]] void operator()(std::size_t byte) const noexcept { __builtin_prefetch(static_cast<const char*>(row) + byte); }
};

/// out[q][r] = the formula summed over the dimension for Q queries against R rows, each of floats or of halves. Each pair has two chains of vectors, added in
/// the same order whatever Q and R are: that is what makes all kernels agree bit for bit. `fetch(at)` asks for what will be needed later; it is called on the
/// way, for each of the dimensions `at` where two vectors begin.
template <class Arch, template <class> class Formula, std::size_t Q, std::size_t R, class Asked, class Row, class Fetch = NoFetch>
[[gnu::always_inline]] inline void accumulate(const Asked* const (&queries)[Q], const Row* const (&rows)[R], std::size_t dimension, float (&out)[Q][R],
                                              const Fetch& fetch = {}) noexcept {
  using L = Lanes<Arch>;
  using V = typename L::Vector;
  using F = Formula<Arch>;
  constexpr auto width = L::width;
  V even[Q][R], odd[Q][R];
  const V zero = L::broadcast(0.0f);
  unrolled<Q>([&](auto q) { unrolled<R>([&](auto r) { even[q][r] = odd[q][r] = zero; }); });

  const auto step = [&](V(&sums)[Q][R], std::size_t at) __attribute__((always_inline)) {
    V left[Q];
    unrolled<Q>([&](auto q) { left[q] = L::load(queries[q] + at); });
    unrolled<R>([&](auto r) {
      const V right = L::load(rows[r] + at);
      unrolled<Q>([&](auto q) { sums[q][r] = F::add(sums[q][r], left[q], right); });
    });
  };
  std::size_t i = 0;
  for (; i + 2 * width <= dimension; i += 2 * width) {
    fetch(i);
    step(even, i);
    step(odd, i + width);
  }
  if (i < dimension) fetch(i);
  if (i + width <= dimension) {
    step(even, i);
    i += width;
  }
  if (i < dimension) {
    if (dimension >= width) {
      // The last whole vector once more, with the lanes that have been counted masked out: nothing beyond the row is read.
      const V mask = last_lanes<Arch>(dimension - i);
      const auto at = dimension - width;
      unrolled<R>([&](auto r) {
        const V right = L::load(rows[r] + at);
        unrolled<Q>([&](auto q) { odd[q][r] = F::add_masked(odd[q][r], L::load(queries[q] + at), right, mask); });
      });
    } else {
      unrolled<R>([&](auto r) {
        const V right = load_short<Arch>(rows[r], dimension);
        unrolled<Q>([&](auto q) { odd[q][r] = F::add(odd[q][r], load_short<Arch>(queries[q], dimension), right); });
      });
    }
  }
  unrolled<Q>([&](auto q) { unrolled<R>([&](auto r) { out[q][r] = L::sum(L::add(even[q][r], odd[q][r])); }); });
}

template <class Arch, template <class> class Formula, class Asked = float, class Row = float>
[[nodiscard]] inline float one_to_one(const void* query, const void* row, std::size_t dimension) noexcept {
  float out[1][1];
  accumulate<Arch, Formula, 1, 1>({static_cast<const Asked*>(query)}, {static_cast<const Row*>(row)}, dimension, out);
  return out[0][0];
}

template <class Arch, template <class> class Formula, class Asked = float, class Row = float>
inline void one_to_many(const void* asked, const void* all, std::size_t count, std::size_t dimension, float* out) noexcept {
  const auto* const query = static_cast<const Asked*>(asked);
  const auto* const rows = static_cast<const Row*>(all);
  // Short rows one after another: the processor fetches ahead of one stream, and several that leap over each other's lines only disturb it (1.1x of a
  // plain sum of the words against 1.8x, Zen 3). Long ones side by side: each is a stream of its own, and more sums hide the additions' latency.
  constexpr std::size_t long_row = 2560 / sizeof(Row), side_by_side = 8;
  std::size_t r = 0;
  if (dimension >= long_row)
    for (; r + side_by_side <= count; r += side_by_side) {
      const Row* streams[side_by_side];
      for (std::size_t i = 0; i < side_by_side; ++i) streams[i] = rows + (r + i) * dimension;
      float sums[1][side_by_side];
      accumulate<Arch, Formula, 1, side_by_side>({query}, streams, dimension, sums);
      std::copy_n(sums[0], side_by_side, out + r);
    }
  for (; r < count; ++r) out[r] = one_to_one<Arch, Formula, Asked, Row>(query, rows + r * dimension, dimension);
}

template <class Arch, template <class> class Formula, class Asked = float, class Row = float>
inline void one_to_some(const void* query, const void* rows, std::size_t dimension, const std::uint32_t* which, std::size_t count, float* out) noexcept {
  const auto row = [&](std::size_t i) { return static_cast<const Row*>(rows) + std::size_t{which[i]} * dimension; };
  constexpr std::size_t step = 2 * Lanes<Arch>::width * sizeof(Row);
  std::size_t i = 0;
  for (; i + gathered <= count; i += gathered) {
    const Row *here[gathered], *next[gathered];
    unrolled<gathered>([&](auto r) {
      here[r] = row(i + r);
      next[r] = row(std::min(i + gathered + r, count - 1));
    });
    const auto fetch = [&](std::size_t at) __attribute__((always_inline)) {
      unrolled<gathered>([&](auto r) {
        for (std::size_t byte = 0; byte < step; byte += 64) __builtin_prefetch(reinterpret_cast<const char*>(next[r] + at) + byte);
      });
    };
    float sums[1][gathered];
    accumulate<Arch, Formula, 1, gathered>({static_cast<const Asked*>(query)}, here, dimension, sums, fetch);
    std::copy_n(sums[0], gathered, out + i);
  }
  for (; i < count; ++i) out[i] = one_to_one<Arch, Formula, Asked, Row>(query, row(i), dimension);
}

template <class Arch, template <class> class Formula, class Asked = float, class Row = float>
inline void many_to_many(const void* const* queries, std::size_t query_count, const void* rows, std::size_t count, std::size_t dimension, float* out) noexcept {
  const auto query = [&](std::size_t q) { return static_cast<const Asked*>(queries[q]); };
  // Two rows outside, pairs of queries inside: the rows stay in the first-level cache while the queries pass.
  std::size_t r = 0;
  for (; r + 2 <= count; r += 2) {
    const Row* const row = static_cast<const Row*>(rows) + r * dimension;
    std::size_t q = 0;
    for (; q + 2 <= query_count; q += 2) {
      float four[2][2];
      accumulate<Arch, Formula, 2, 2>({query(q), query(q + 1)}, {row, row + dimension}, dimension, four);
      std::copy_n(four[0], 2, out + q * count + r);
      std::copy_n(four[1], 2, out + (q + 1) * count + r);
    }
    if (q < query_count) one_to_many<Arch, Formula, Asked, Row>(queries[q], row, 2, dimension, out + q * count + r);
  }
  if (r < count)
    for (std::size_t q = 0; q < query_count; ++q)
      out[q * count + r] = one_to_one<Arch, Formula, Asked, Row>(queries[q], static_cast<const Row*>(rows) + r * dimension, dimension);
}

template <class Arch, template <class> class Formula, class Asked = float, class Row = float>
inline constexpr Kernels kernels_of{one_to_one<Arch, Formula, Asked, Row>, one_to_many<Arch, Formula, Asked, Row>, one_to_some<Arch, Formula, Asked, Row>,
                                    many_to_many<Arch, Formula, Asked, Row>};

/// Floats of `count` halves.
template <class Arch>
inline void widen_halves(const Half* from, std::size_t count, float* out) noexcept {
  using L = Lanes<Arch>;
  std::size_t i = 0;
  for (; i + L::width <= count; i += L::width) L::store(out + i, L::load(from + i));
  if (i == count) return;
  float rest[L::width];
  L::store(rest, load_short<Arch>(from + i, count - i));
  std::copy_n(rest, count - i, out + i);
}

/// The kernels of floats behind a metric: squared differences for L2, products for the others. Looked up once per query or index, never per vector.
template <class Arch = NativeArch>
[[nodiscard]] constexpr const Kernels& kernels_for(Metric metric) noexcept {
  return metric == Metric::l2 ? kernels_of<Arch, SquaredDifference> : kernels_of<Arch, Product>;
}

}  // namespace quiver::detail
