// Scalar quantizers: each dimension has evenly spaced steps between the least and the greatest number that was seen there.
#pragma once

#include <quiver/distance/dispatch.hpp>
#include <quiver/distance/oracle.hpp>
#include <quiver/quant/quantizer.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace quiver::detail {

/// What rows are kept as: number i is about offset[i] + step[i] * code[i], with codes from -half to half - 1.
struct ScalarParameters {
  std::vector<float> offset, step;
};

/// How wide codes are, how they lie in a row, and which kernels multiply them with weights.
template <class C>
concept ScalarCodes = requires(std::byte* row, const std::byte* code, std::size_t i, int number, const KernelSet& set) {
  typename C::Weight;
  { C::half } -> std::convertible_to<int>;           // 2 * half different codes
  { C::bias } -> std::convertible_to<std::int32_t>;  // what kernels take code c for is c + bias
  { C::bytes(i) } -> std::same_as<std::size_t>;      // of a row of i numbers; a multiple of four
  C::put(row, i, number);                            // into bytes that were zero
  { C::get(code, i) } -> std::same_as<int>;
  { C::largest_weight(i) } -> std::same_as<std::int32_t>;  // for i numbers
  { C::weights(i) } -> std::same_as<std::size_t>;          // how many i numbers take, padded with zeros
  { C::place(i, i) } -> std::same_as<std::size_t>;         // of i weights, where that of number i lies
  { C::padded(i) } -> std::same_as<std::size_t>;           // what kernels are told of i weights
  { C::kernels(set) } -> std::same_as<const ProductKernels<typename C::Weight>&>;
};

/// A query against codes: under L2 |q - o|^2 + |s c|^2 - 2 (q - o) s c, under cosine half of it, which for directions is 1 - q x, under the inner product
/// 1 - q o - q s c; the products with c are sums of whole numbers: the weights are rounded to those of C. Refers to the rows and their terms. Any number of
/// threads.
///
/// How far an estimate may be from the distance of what the codes stand for: with w the greatest |(q - o) s|, under the inner product |q s|, a weight is off by
/// half of the unit u = w / C::largest_weight(dimension), so an estimate is by u / 2 * sum |c|, under L2 by u * sum |c|; and by what floats round, 2^-22 of the
/// sum of the magnitudes of all that is added, and 2^-118 for what they lose below their smallest.
template <ScalarCodes C>
class ScalarQuery {
 public:
  [[nodiscard]] float at(std::uint32_t row) const noexcept {
    const auto product = kernels_->dot(rows_.codes + std::size_t{row} * stride_, weights_.data(), C::padded(weights_.size()));
    return distance(product, rows_.terms == nullptr ? 0 : rows_.terms[row]);
  }
  [[gnu::always_inline]] void fetch(std::uint32_t row) const noexcept {
    fetch_lines(rows_.codes + std::size_t{row} * stride_, lines_);
    if (rows_.terms != nullptr) __builtin_prefetch(rows_.terms + row);
  }
  [[nodiscard]] std::size_t ahead() const noexcept { return rows_ahead(lines_); }
  /// REQUIRES: 256 rows at most.
  void each(std::span<const std::uint32_t> which, float* out) const noexcept {
    std::int32_t products[256];
    kernels_->gather(rows_.codes, stride_, weights_.data(), C::padded(weights_.size()), which.data(), which.size(), products);
    if (rows_.terms != nullptr)
      for (std::size_t i = 0; i < which.size(); ++i) out[i] = distance(products[i], rows_.terms[which[i]]);
    else
      for (std::size_t i = 0; i < which.size(); ++i) out[i] = distance(products[i], 0);
  }
  /// True if every estimate is a number.
  [[nodiscard]] bool fits() const noexcept { return std::abs(base_) <= largest && std::abs(factor_) <= largest; }

 private:
  template <ScalarCodes>
  friend class ScalarQuantizer;
  static constexpr float largest = 0x1p80f;  // products with 31 bits of it, and sums of those, stay within float

  [[nodiscard]] float distance(std::int32_t product, float term) const noexcept {
    if constexpr (C::bias != 0) product -= surplus_;
    return (base_ + term) - factor_ * static_cast<float>(product);
  }

  const ProductKernels<typename C::Weight>* kernels_ = nullptr;
  CodeRows rows_;
  std::size_t stride_ = 0, lines_ = 0;
  float base_ = 0, factor_ = 0;
  std::int32_t surplus_ = 0;                 // bias times the sum of the weights
  std::vector<typename C::Weight> weights_;  // padded with zeros
};

/// A row takes code_bytes(), and has a term: under L2 the sum of (step * code)^2, under cosine half of it. With n = 2 * C::half - 1 steps: where every number
/// that was seen in a dimension is whole, they are within n of each other and below 2^23, codes are exact: the step is the smallest of 1, 1/2, 1/4 ... that
/// reaches. Else a number that was seen is at most half a step away from its code's, where a step is an n-th of how far they are apart, plus 2^-22 of its
/// magnitude for what floats round.
template <ScalarCodes C>
class ScalarQuantizer {
 public:
  using Codes = C;
  using Query = ScalarQuery<C>;
  using Parameters = ScalarParameters;

  /// Sees the vectors that are to be kept. One thread.
  class Trainer {
   public:
    explicit Trainer(std::size_t dimension)
        : least_(dimension, std::numeric_limits<float>::infinity()), greatest_(dimension, -std::numeric_limits<float>::infinity()), whole_(dimension, 1) {}
    void add(const ScaledVector& vector) noexcept {
      for (std::size_t i = 0; i < least_.size(); ++i) {
        const float x = vector.values[i] * vector.factor;
        least_[i] = std::min(least_[i], x);
        greatest_[i] = std::max(greatest_[i], x);
        whole_[i] &= static_cast<std::uint8_t>(x == std::nearbyint(x));
      }
    }
    /// REQUIRES: a vector was added.
    [[nodiscard]] ScalarQuantizer finish(Metric metric) const {
      constexpr double steps = 2 * C::half - 1;
      Parameters parameters;
      for (std::size_t i = 0; i < least_.size(); ++i) {
        const double range = static_cast<double>(greatest_[i]) - static_cast<double>(least_[i]);
        const double step = whole_[i] != 0 && range > 0 && range <= steps ? std::exp2(-std::floor(std::log2(steps / range))) : range / steps;
        parameters.step.push_back(static_cast<float>(step));
        parameters.offset.push_back(static_cast<float>(static_cast<double>(least_[i]) + C::half * step));
      }
      return ScalarQuantizer(metric, std::move(parameters));
    }

   private:
    std::vector<float> least_, greatest_;
    std::vector<std::uint8_t> whole_;
  };

  /// REQUIRES: as many offsets as steps, 1 to max_code_dimension; all finite, steps not negative.
  ScalarQuantizer(Metric metric, Parameters parameters) : metric_(metric), parameters_(std::move(parameters)) {
    double sum = 0;
    for (std::size_t i = 0; i < dimension(); ++i) {
      const double reach = std::abs(static_cast<double>(parameters_.offset[i])) + C::half * static_cast<double>(parameters_.step[i]);
      sum += reach * reach;
    }
    fits_ = sum <= 0x1p80;
  }

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return parameters_.offset.size(); }
  /// False where a sum of squares would leave float: then nothing can be estimated.
  [[nodiscard]] bool fits() const noexcept { return fits_; }
  /// A multiple of four.
  [[nodiscard]] std::size_t code_bytes() const noexcept { return C::bytes(dimension()); }
  [[nodiscard]] bool with_terms() const noexcept { return metric_ != Metric::inner_product; }

  /// Writes code_bytes() bytes, returns the row's term. Numbers beyond those that were seen get the nearest code.
  float encode(const ScaledVector& vector, std::byte* code) const noexcept {
    std::fill_n(code, code_bytes(), std::byte{0});
    double sum = 0;
    for (std::size_t i = 0; i < dimension(); ++i) {
      const double step = static_cast<double>(parameters_.step[i]);
      const double away = static_cast<double>(vector.values[i] * vector.factor) - static_cast<double>(parameters_.offset[i]);
      // In an order that lets no NaN through.
      const double nearest = step > 0 ? std::max(std::min(static_cast<double>(C::half - 1), std::nearbyint(away / step)), static_cast<double>(-C::half)) : 0;
      C::put(code, i, static_cast<int>(nearest));
      sum += step * nearest * step * nearest;
    }
    return with_terms() ? static_cast<float>(sum * share()) : 0;
  }
  /// The numbers that a code stands for.
  void decode(const std::byte* code, std::span<float> out) const noexcept {
    for (std::size_t i = 0; i < dimension(); ++i) out[i] = parameters_.offset[i] + parameters_.step[i] * static_cast<float>(C::get(code, i));
  }
  /// Behind the last code code_block bytes more can be read. Best where codes begin at a line of the processor's, 64 bytes. O(dimension).
  /// REQUIRES: terms where with_terms().
  template <class Arch = DefaultArch>
  [[nodiscard]] Query prepare(const ScaledVector& query, const CodeRows& rows) const {
    Query out;
    out.kernels_ = &C::kernels(kernel_set<Arch>());
    out.rows_ = {rows.codes, with_terms() ? rows.terms : nullptr};
    out.stride_ = code_bytes();
    out.lines_ =
        lines_to_fetch(out.stride_ + 64 - std::gcd(out.stride_, std::size_t{64}));  // from where the last of the places in a line is that rows begin at
    const auto size = dimension();
    // In double: float would lose the products of small numbers, and what scales them would be infinite.
    std::vector<double> products(size);
    const auto [base, most] = with_terms() ? multiply<true>(query, products.data()) : multiply<false>(query, products.data());
    const auto limit = static_cast<double>(C::largest_weight(size));
    const double scale = most > 0 ? limit / most : 0;
    out.weights_.resize(C::weights(size));
    for (std::size_t i = 0; i < size; ++i) {
      const double weight = products[i] * scale;
      const auto whole = static_cast<std::int32_t>(weight + std::copysign(0.5, weight));
      out.weights_[C::place(out.weights_.size(), i)] = static_cast<typename C::Weight>(whole);
      if constexpr (C::bias != 0) out.surplus_ += C::bias * whole;
    }
    out.base_ = to_distance(with_terms() ? base * share() : 1 - base);
    out.factor_ = to_distance(most / limit * (with_terms() ? 2 * share() : 1));
    return out;
  }

 private:
  /// Of the squared distance, how much is the metric's.
  [[nodiscard]] double share() const noexcept { return metric_ == Metric::cosine ? 0.5 : 1; }
  /// The products with the steps that the codes are multiplied with, the sum that is the query's own, and the greatest magnitude of a product. Sums of eight
  /// lanes, so that a compiler may add them together.
  template <bool with_term>
  [[nodiscard]] std::pair<double, double> multiply(const ScaledVector& query, double* __restrict products) const noexcept {
    constexpr std::size_t lanes = 8;
    const float *const values = query.values.data(), *const offsets = parameters_.offset.data(), *const steps = parameters_.step.data();
    const float factor = query.factor;
    double sums[lanes] = {}, greatest[lanes] = {};
    const auto look_at = [&](std::size_t i, std::size_t lane) __attribute__((always_inline)) {
      const auto q = static_cast<double>(values[i] * factor), offset = static_cast<double>(offsets[i]);
      const double one = with_term ? q - offset : q;
      sums[lane] += one * (with_term ? one : offset);
      products[i] = one * static_cast<double>(steps[i]);
      const double magnitude = std::abs(products[i]);
      greatest[lane] = greatest[lane] < magnitude ? magnitude : greatest[lane];
    };
    std::size_t i = 0;
    for (; i + lanes <= dimension(); i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) look_at(i + lane, lane);
    for (; i < dimension(); ++i) look_at(i, 0);
    std::pair<double, double> out{0, 0};
    for (std::size_t lane = 0; lane < lanes; ++lane) out = {out.first + sums[lane], std::max(out.second, greatest[lane])};
    return out;
  }

  Metric metric_;
  Parameters parameters_;
  bool fits_ = false;
};

}  // namespace quiver::detail
