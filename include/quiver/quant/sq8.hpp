// The scalar quantizer of eight bits: each dimension has 256 steps between the least and the greatest number that was seen there.
#pragma once

#include <quiver/distance/dispatch.hpp>
#include <quiver/distance/oracle.hpp>
#include <quiver/quant/quantizer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace quiver::detail {

/// What rows are kept as: number i is about offset[i] + step[i] * code[i], with codes from -128 to 127.
struct Sq8Parameters {
  std::vector<float> offset, step;
};

/// A query against codes: under L2 |q - o|^2 + |s c|^2 - 2 (q - o) s c, under cosine half of it, which for directions is 1 - q x, under the inner product
/// 1 - q o - q s c; the products with c are sums of whole numbers: the weights are rounded to 16 bits at most. Refers to the rows and their terms. Any number
/// of threads.
///
/// How far an estimate may be from the distance of what the codes stand for: with w the greatest |(q - o) s|, under the inner product |q s|, a weight is off by
/// half of the unit u = w / largest_weight(dimension), so an estimate is by u / 2 * sum |c|, under L2 by u * sum |c|; and by what floats round, 2^-22 of the
/// sum of the magnitudes of all that is added, and 2^-118 for what they lose below their smallest.
class Sq8Query {
 public:
  [[nodiscard]] float at(std::uint32_t row) const noexcept {
    const auto product = kernels_->dot(rows_.codes + std::size_t{row} * stride_, weights_.data(), weights_.size());
    return distance(product, rows_.terms == nullptr ? 0 : rows_.terms[row]);
  }
  void fetch(std::uint32_t row) const noexcept {
    fetch_lines(rows_.codes + std::size_t{row} * stride_, lines_);
    if (rows_.terms != nullptr) __builtin_prefetch(rows_.terms + row);
  }
  [[nodiscard]] std::size_t ahead() const noexcept { return rows_ahead(lines_); }
  /// REQUIRES: 256 rows at most.
  void each(std::span<const std::uint32_t> which, float* out) const noexcept {
    std::int32_t products[256];
    kernels_->gather(rows_.codes, stride_, lines_, weights_.data(), weights_.size(), which.data(), which.size(), products);
    if (rows_.terms != nullptr)
      for (std::size_t i = 0; i < which.size(); ++i) out[i] = distance(products[i], rows_.terms[which[i]]);
    else
      for (std::size_t i = 0; i < which.size(); ++i) out[i] = distance(products[i], 0);
  }
  /// True if every estimate is a number.
  [[nodiscard]] bool fits() const noexcept { return std::abs(base_) <= largest && std::abs(factor_) <= largest; }

 private:
  friend class Sq8Quantizer;
  static constexpr float largest = 0x1p80f;  // products with 31 bits of it, and sums of those, stay within float

  [[nodiscard]] float distance(std::int32_t product, float term) const noexcept { return (base_ + term) - factor_ * static_cast<float>(product); }

  const CodeKernels* kernels_ = nullptr;
  CodeRows rows_;
  std::size_t stride_ = 0, lines_ = 0;
  float base_ = 0, factor_ = 0;
  std::vector<std::int16_t> weights_;  // padded with zeros
};

/// Eight bits a number. A row takes code_bytes(), and has a term: under L2 the sum of (step * code)^2, under cosine half of it. Where every number that was
/// seen in a dimension is whole, they are within 255 of each other and below 2^23, codes are exact: the step is 1, 1/2, 1/4 ... 1/128. Else a number that was
/// seen is at most half a step away from its code's, where a step is a 255th of how far they are apart, plus 2^-22 of its magnitude for what floats round.
class Sq8Quantizer {
 public:
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
    [[nodiscard]] Sq8Quantizer finish(Metric metric) const {
      Sq8Parameters parameters;
      for (std::size_t i = 0; i < least_.size(); ++i) {
        const double range = static_cast<double>(greatest_[i]) - static_cast<double>(least_[i]);
        const double step = whole_[i] != 0 && range > 0 && range <= 255 ? std::exp2(-std::floor(std::log2(255 / range))) : range / 255;
        parameters.step.push_back(static_cast<float>(step));
        parameters.offset.push_back(static_cast<float>(static_cast<double>(least_[i]) + 128 * step));
      }
      return Sq8Quantizer(metric, std::move(parameters));
    }

   private:
    std::vector<float> least_, greatest_;
    std::vector<std::uint8_t> whole_;
  };

  /// REQUIRES: as many offsets as steps, 1 to max_code_dimension; all finite, steps not negative.
  Sq8Quantizer(Metric metric, Sq8Parameters parameters) : metric_(metric), parameters_(std::move(parameters)) {
    double sum = 0;
    for (std::size_t i = 0; i < dimension(); ++i) {
      const double reach = std::abs(static_cast<double>(parameters_.offset[i])) + 128 * static_cast<double>(parameters_.step[i]);
      sum += reach * reach;
    }
    fits_ = sum <= 0x1p80;
  }

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] const Sq8Parameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return parameters_.offset.size(); }
  /// False where a sum of squares would leave float: then nothing can be estimated.
  [[nodiscard]] bool fits() const noexcept { return fits_; }
  /// A multiple of four.
  [[nodiscard]] std::size_t code_bytes() const noexcept { return (dimension() + 3) / 4 * 4; }
  [[nodiscard]] bool with_terms() const noexcept { return metric_ != Metric::inner_product; }

  /// Writes code_bytes() bytes, returns the row's term. Numbers beyond those that were seen get the nearest code.
  float encode(const ScaledVector& vector, std::byte* code) const noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < dimension(); ++i) {
      const double step = static_cast<double>(parameters_.step[i]);
      const double away = static_cast<double>(vector.values[i] * vector.factor) - static_cast<double>(parameters_.offset[i]);
      const double nearest = step > 0 ? std::max(std::min(127.0, std::nearbyint(away / step)), -128.0) : 0;  // in an order that lets no NaN through
      code[i] = static_cast<std::byte>(static_cast<std::int8_t>(nearest));
      sum += step * nearest * step * nearest;
    }
    std::fill(code + dimension(), code + code_bytes(), std::byte{0});
    return with_terms() ? static_cast<float>(sum * share()) : 0;
  }
  /// The numbers that a code stands for.
  void decode(const std::byte* code, std::span<float> out) const noexcept {
    for (std::size_t i = 0; i < dimension(); ++i)
      out[i] = parameters_.offset[i] + parameters_.step[i] * static_cast<float>(static_cast<std::int8_t>(std::to_integer<std::uint8_t>(code[i])));
  }
  /// Behind the last code code_block bytes more can be read. Best where codes begin at a line of the processor's, 64 bytes. O(dimension).
  /// REQUIRES: terms where with_terms().
  template <class Arch = DefaultArch>
  [[nodiscard]] Sq8Query prepare(const ScaledVector& query, const CodeRows& rows) const {
    Sq8Query out;
    out.kernels_ = &kernel_set<Arch>().codes;
    out.rows_ = {rows.codes, with_terms() ? rows.terms : nullptr};
    out.stride_ = code_bytes();
    out.lines_ =
        lines_to_fetch(out.stride_ + 64 - std::gcd(out.stride_, std::size_t{64}));  // from where the last of the places in a line is that rows begin at
    const auto size = dimension();
    // In double: float would lose the products of small numbers, and what scales them would be infinite.
    std::vector<double> products(size);
    const auto [base, most] = with_terms() ? multiply<true>(query, products.data()) : multiply<false>(query, products.data());
    const auto limit = static_cast<double>(largest_weight(size));
    const double scale = most > 0 ? limit / most : 0;
    out.weights_.resize((size + code_block - 1) / code_block * code_block);
    for (std::size_t i = 0; i < size; ++i) {
      const double weight = products[i] * scale;
      out.weights_[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(weight + std::copysign(0.5, weight)));
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
  Sq8Parameters parameters_;
  bool fits_ = false;
};

static_assert(Quantizer<Sq8Quantizer>);

}  // namespace quiver::detail
