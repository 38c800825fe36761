// Distance kernels for float32: one to one, one to many, many to many, generated per instruction set.
//
// Every pair is summed in one way, whatever the shape it is computed in: lane j of one register takes the elements j, j + W, j + 2W ... by
// fused multiply-add (where the set has it), a tail is filled up with zeros, the lanes are added at the end. So all three shapes agree to the bit,
// and a batched search answers as single ones do. Speed comes from independent pairs, not from splitting a pair.
//
// Error against exact arithmetic, with u = 2^-24, n the dimension, W the lanes, c = ceil(n / W) + W + 2:
//   l2:   at most c u (1 + c u) times the sum, and n 2^-149 for underflow; overflow gives +infinity, never NaN (elements are finite)
//   dot:  at most c u (1 + c u) times the sum of |a_i b_i|, and n 2^-149; overflow may give +-infinity or NaN: callers rank NaN last
#pragma once

#include <quiver/distance/simd.hpp>

#include <cstddef>

namespace quiver::detail {

struct L2 {
  template <class Arch>
  static Lanes<Arch> step(const Lanes<Arch>& a, const Lanes<Arch>& b, const Lanes<Arch>& sum) {
    const auto difference = a - b;
    return xsimd::fma(difference, difference, sum);
  }
};
struct Dot {
  template <class Arch>
  static Lanes<Arch> step(const Lanes<Arch>& a, const Lanes<Arch>& b, const Lanes<Arch>& sum) {
    return xsimd::fma(a, b, sum);
  }
};

/// A tile of Q queries x R rows, each result in its own accumulator. `stride` floats from one query, or row, to the next; out[q * out_stride + r].
template <class Op, class Arch, std::size_t Q, std::size_t R>
[[gnu::always_inline]] inline void tile(const float* queries, const float* rows, std::size_t dimension, float* out, std::size_t out_stride) {
  constexpr std::size_t width = Lanes<Arch>::size;
  Lanes<Arch> sums[Q][R];
  for (auto& line : sums)
    for (auto& sum : line) sum = Lanes<Arch>(0.0f);
  std::size_t i = 0;
  for (; i + width <= dimension; i += width) {
    Lanes<Arch> row[R];
    for (std::size_t r = 0; r < R; ++r) row[r] = Lanes<Arch>::load_unaligned(rows + r * dimension + i);
    for (std::size_t q = 0; q < Q; ++q) {
      const auto query = Lanes<Arch>::load_unaligned(queries + q * dimension + i);
      for (std::size_t r = 0; r < R; ++r) sums[q][r] = Op::template step<Arch>(query, row[r], sums[q][r]);
    }
  }
  if (i < dimension) {
    for (std::size_t r = 0; r < R; ++r) {
      const auto row = load_partial<Arch>(rows + r * dimension + i, dimension - i);
      for (std::size_t q = 0; q < Q; ++q) sums[q][r] = Op::template step<Arch>(load_partial<Arch>(queries + q * dimension + i, dimension - i), row, sums[q][r]);
    }
  }
  for (std::size_t q = 0; q < Q; ++q)
    for (std::size_t r = 0; r < R; ++r) out[q * out_stride + r] = sum_lanes<Arch>(sums[q][r]);
}

template <class Op, class Arch>
float one_to_one(const float* a, const float* b, std::size_t dimension) {
  float out;
  tile<Op, Arch, 1, 1>(a, b, dimension, &out, 1);
  return out;
}

/// out[r] for `count` dense rows.
template <class Op, class Arch>
void one_to_many(const float* query, const float* rows, std::size_t count, std::size_t dimension, float* out) {
  constexpr std::size_t step = 8;
  std::size_t r = 0;
  for (; r + step <= count; r += step) tile<Op, Arch, 1, step>(query, rows + r * dimension, dimension, out + r, step);
  for (; r < count; ++r) tile<Op, Arch, 1, 1>(query, rows + r * dimension, dimension, out + r, 1);
}

/// out[q * count + r] for dense queries and rows. Twelve accumulators, three rows and a query fill sixteen registers.
template <class Op, class Arch>
void many_to_many(const float* queries, std::size_t query_count, const float* rows, std::size_t count, std::size_t dimension, float* out) {
  std::size_t q = 0;
  for (; q + 4 <= query_count; q += 4) {
    std::size_t r = 0;
    for (; r + 3 <= count; r += 3) tile<Op, Arch, 4, 3>(queries + q * dimension, rows + r * dimension, dimension, out + q * count + r, count);
    for (; r < count; ++r) tile<Op, Arch, 4, 1>(queries + q * dimension, rows + r * dimension, dimension, out + q * count + r, count);
  }
  for (; q < query_count; ++q) one_to_many<Op, Arch>(queries + q * dimension, rows, count, dimension, out + q * count);
}

/// The kernels of one formula for one instruction set; chosen once per query or index, never per vector.
struct Kernels {
  float (*one)(const float* a, const float* b, std::size_t dimension);
  void (*many)(const float* query, const float* rows, std::size_t count, std::size_t dimension, float* out);
  void (*batch)(const float* queries, std::size_t query_count, const float* rows, std::size_t count, std::size_t dimension, float* out);
};

template <class Op, class Arch = DefaultArch>
inline constexpr Kernels kernels_of{&one_to_one<Op, Arch>, &one_to_many<Op, Arch>, &many_to_many<Op, Arch>};

}  // namespace quiver::detail
