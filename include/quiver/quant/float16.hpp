// The quantizer of half-precision numbers.
#pragma once

#include <quiver/core/half.hpp>
#include <quiver/distance/dispatch.hpp>
#include <quiver/distance/oracle.hpp>
#include <quiver/quant/quantizer.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace quiver::detail {

/// What rows are kept as: a number is its half divided by the scale, a power of two.
struct Float16Parameters {
  float scale = 1;
};

/// A query against halves, in floats: under L2 the squared distance, under cosine half of that of directions, under the inner product 1 - q x. Refers to the
/// rows. Any number of threads.
///
/// How far an estimate may be from the distance of what the codes stand for: as far as the kernels are from the sum (kernels.hpp), and 2^-22 of it, under the
/// inner product 2^-22 of 1 and it.
class Float16Query {
 public:
  [[nodiscard]] float at(std::uint32_t row) const noexcept { return distance(kernels_->one(query_.data(), row_at(row), query_.size())); }
  [[gnu::always_inline]] void fetch(std::uint32_t row) const noexcept { fetch_lines(row_at(row), lines_); }
  [[nodiscard]] std::size_t ahead() const noexcept { return rows_ahead(lines_); }
  void each(std::span<const std::uint32_t> which, float* out) const noexcept {
    kernels_->gather(query_.data(), codes_, query_.size(), which.data(), which.size(), out);
    for (std::size_t i = 0; i < which.size(); ++i) out[i] = distance(out[i]);
  }
  /// True if every estimate is a number.
  [[nodiscard]] bool fits() const noexcept { return fits_; }

 private:
  friend class Float16Quantizer;
  [[nodiscard]] const std::byte* row_at(std::uint32_t row) const noexcept { return codes_ + std::size_t{row} * query_.size() * sizeof(Half); }
  [[nodiscard]] float distance(float sum) const noexcept { return base_ + factor_ * sum; }

  const Kernels* kernels_ = nullptr;
  const std::byte* codes_ = nullptr;
  std::size_t lines_ = 0;
  float base_ = 0, factor_ = 0;
  bool fits_ = false;
  std::vector<float> query_;
};

/// Sixteen bits a number. A number that was seen is at most 2^-11 of its magnitude away from what its code stands for, or 2^-25 / scale where that is more: the
/// scale is such that the largest is 2^14 to 2^15, but no larger than 2^63.
class Float16Quantizer {
 public:
  using Query = Float16Query;
  using Parameters = Float16Parameters;
  static constexpr float largest_scale = 0x1p63f;  // the square of what it divides by is a normal float

  /// Sees the vectors that are to be kept. One thread.
  class Trainer {
   public:
    explicit Trainer(std::size_t dimension) : dimension_(dimension) {}
    void add(const ScaledVector& vector) noexcept {
      for (std::size_t i = 0; i < dimension_; ++i) {
        const float magnitude = std::abs(vector.values[i] * vector.factor);
        numbers_ = numbers_ && magnitude <= std::numeric_limits<float>::max();
        greatest_ = std::max(greatest_, magnitude);
      }
    }
    [[nodiscard]] Float16Quantizer finish(Metric metric) const {
      Parameters parameters;
      if (!numbers_)
        parameters.scale = std::numeric_limits<float>::min();  // with which nothing fits
      else if (greatest_ > 0)
        parameters.scale = std::min(std::scalbn(1.0f, 14 - std::ilogb(greatest_)), largest_scale);
      return Float16Quantizer(metric, dimension_, parameters);
    }

   private:
    std::size_t dimension_;
    float greatest_ = 0;
    bool numbers_ = true;
  };

  /// Whether a scale is one: a power of two, and no larger than it may be.
  [[nodiscard]] static bool valid(const Parameters& parameters) noexcept {
    int exponent = 0;
    return parameters.scale >= std::numeric_limits<float>::min() && parameters.scale <= largest_scale && std::frexp(parameters.scale, &exponent) == 0.5f;
  }
  /// REQUIRES: valid parameters.
  Float16Quantizer(Metric metric, std::size_t dimension, const Parameters& parameters) : metric_(metric), dimension_(dimension), parameters_(parameters) {}

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  /// False where a sum of squares would leave float: then nothing can be estimated.
  [[nodiscard]] bool fits() const noexcept {
    const double reach = static_cast<double>(largest_half) / static_cast<double>(parameters_.scale);
    return static_cast<double>(dimension_) * reach * reach <= 0x1p80;
  }
  [[nodiscard]] std::size_t code_bytes() const noexcept { return dimension_ * sizeof(Half); }
  [[nodiscard]] bool with_terms() const noexcept { return false; }

  /// Writes code_bytes() bytes. Numbers too large for a half get the largest.
  float encode(const ScaledVector& vector, std::byte* code) const noexcept {
    for (std::size_t i = 0; i < dimension_; ++i) {
      const float x = vector.values[i] * vector.factor * parameters_.scale;
      const Half half = float_to_half(std::max(std::min(largest_half, x), -largest_half));  // in an order that lets no NaN through
      std::memcpy(code + i * sizeof half, &half, sizeof half);
    }
    return 0;
  }
  /// The numbers that a code stands for.
  void decode(const std::byte* code, std::span<float> out) const noexcept {
    for (std::size_t i = 0; i < dimension_; ++i) {
      Half half;
      std::memcpy(&half, code + i * sizeof half, sizeof half);
      out[i] = half_to_float(half) / parameters_.scale;
    }
  }
  /// O(dimension).
  template <class Arch = DefaultArch>
  [[nodiscard]] Query prepare(const ScaledVector& query, const CodeRows& rows) const {
    const bool squared = metric_ != Metric::inner_product;
    Query out;
    out.kernels_ = &kernel_set<Arch>().rows(Element::float16, squared ? Metric::l2 : Metric::inner_product);
    out.codes_ = rows.codes;
    out.lines_ = lines_to_fetch(code_bytes() + 64 - std::gcd(code_bytes(), std::size_t{64}));
    const auto scale = static_cast<double>(parameters_.scale);
    out.query_.resize(dimension_);
    double sum = 0;
    for (std::size_t i = 0; i < dimension_; ++i) {
      const float q = query.values[i] * query.factor;
      sum += static_cast<double>(q) * static_cast<double>(q);
      out.query_[i] = squared ? q * parameters_.scale : q;
    }
    out.fits_ = sum <= 0x1p80 && (!squared || sum * scale * scale <= 0x1p120);  // the kernels' sums and what is made of them stay within float
    out.base_ = squared ? 0 : 1;
    out.factor_ = static_cast<float>(squared ? (metric_ == Metric::cosine ? 0.5 : 1) / (scale * scale) : -1 / scale);
    return out;
  }

 private:
  static constexpr float largest_half = 65504;

  Metric metric_;
  std::size_t dimension_;
  Parameters parameters_;
};

static_assert(Quantizer<Float16Quantizer>);

}  // namespace quiver::detail
