// Vectors in clusters, as real ones are, and queries from the same clusters.
#pragma once

#include <quiver/distance/metric.hpp>
#include <quiver/index/flat.hpp>

#include <random>
#include <span>
#include <vector>

namespace quiver::test {

class Clusters {
 public:
  Clusters(std::size_t rows, std::size_t dimension, std::size_t clusters, unsigned seed, float spread = 6.0f) : dimension_(dimension) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> centres(clusters * dimension);
    for (auto& x : centres) x = spread * normal(random);
    const auto fill = [&](std::vector<float>& to, std::size_t count) {
      to.resize(count * dimension);
      for (std::size_t r = 0; r < count; ++r) {
        const auto centre = random() % clusters * dimension;
        for (std::size_t i = 0; i < dimension; ++i) to[r * dimension + i] = centres[centre + i] + normal(random);
      }
    };
    fill(values_, rows);
    fill(queries_, 64);
    measure();
  }
  void set_all(float value) {
    std::fill(values_.begin(), values_.end(), value);
    measure();
  }
  /// One dimension of all rows.
  void set(std::size_t dimension, float value) {
    for (std::size_t r = 0; r < size(); ++r) values_[r * dimension_ + dimension] = value;
    measure();
  }
  /// Every `every`-th row times `factor`.
  void scale(std::size_t every, float factor) {
    for (std::size_t r = 0; r < size(); r += every)
      for (std::size_t i = 0; i < dimension_; ++i) values_[r * dimension_ + i] *= factor;
    measure();
  }

  [[nodiscard]] std::size_t size() const noexcept { return values_.size() / dimension_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] const std::vector<float>& values() const noexcept { return values_; }
  [[nodiscard]] std::span<const float> row(std::size_t r) const noexcept { return {&values_[r * dimension_], dimension_}; }
  [[nodiscard]] std::span<const float> query(std::size_t i) const noexcept { return {&queries_[i % 64 * dimension_], dimension_}; }
  [[nodiscard]] detail::FlatRows rows() const noexcept { return {values_.data(), inverse_norms_.data(), size(), dimension_}; }

 private:
  void measure() {
    inverse_norms_.clear();
    for (std::size_t r = 0; r < size(); ++r) inverse_norms_.push_back(detail::inverse_norm(row(r)));
  }

  std::size_t dimension_;
  std::vector<float> values_, inverse_norms_, queries_;
};

}  // namespace quiver::test
