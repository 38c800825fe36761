// Rows as codes, for tests of quantizers, and how well distances are told from them.
#pragma once

#include <quiver/core/types.hpp>
#include <quiver/distance/code_kernels.hpp>
#include <quiver/distance/oracle.hpp>
#include <quiver/quant/quantizer.hpp>

#include "support/clusters.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::test::coded {

using namespace quiver::detail;

inline constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};
[[nodiscard]] constexpr std::string_view name_of(Metric metric) { return metric == Metric::l2 ? "l2" : metric == Metric::cosine ? "cosine" : "inner_product"; }
inline constexpr double lost = 0x1p-118;  // what floats lose below the smallest normal one, times 31 bits

/// Rows, what a quantizer learned from them, and their codes.
template <class Q>
struct Coded {
  Coded(Metric of, std::vector<float> all, std::size_t width) : metric(of), values(std::move(all)), dimension(width), quantizer(learn()) {
    codes.resize(rows() * quantizer.code_bytes() + code_block);
    terms.resize(rows());
    for (std::size_t r = 0; r < rows(); ++r) encode(r, row(r));
  }
  [[nodiscard]] std::size_t rows() const { return values.size() / dimension; }
  [[nodiscard]] std::span<const float> row(std::size_t r) const { return std::span(values).subspan(r * dimension, dimension); }
  [[nodiscard]] ScaledVector scaled(std::span<const float> vector) const { return {vector, metric == Metric::cosine ? inverse_norm(vector) : 1.0f}; }
  void encode(std::size_t r, std::span<const float> vector) { terms[r] = quantizer.encode(scaled(vector), &codes[r * quantizer.code_bytes()]); }
  [[nodiscard]] const std::byte* code(std::size_t r) const { return &codes[r * quantizer.code_bytes()]; }
  [[nodiscard]] std::vector<float> decoded(std::size_t r) const {
    std::vector<float> out(dimension);
    quantizer.decode(code(r), out);
    return out;
  }
  template <class Arch = NativeArch>
  [[nodiscard]] auto prepare(std::span<const float> query) const {
    return quantizer.template prepare<Arch>(scaled(query), {codes.data(), terms.data()});
  }

  Metric metric;
  std::vector<float> values;
  std::size_t dimension;
  Q quantizer;
  Bytes codes;
  std::vector<float> terms;

 private:
  [[nodiscard]] Q learn() const {
    typename Q::Trainer trainer(dimension);
    for (std::size_t r = 0; r < rows(); ++r) trainer.add(scaled(row(r)));
    return trainer.finish(metric);
  }
};

[[nodiscard]] inline double wide(float x) { return static_cast<double>(x); }

[[nodiscard]] inline std::vector<float> gaussian(std::size_t count, unsigned seed, float scale = 1, float shift = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (auto& x : out) x = shift + scale * normal(random);
  return out;
}
[[nodiscard]] inline std::vector<float> uniform(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> any(-3, 5);
  std::vector<float> out(count);
  for (auto& x : out) x = any(random);
  return out;
}

/// Of the ten nearest of 3,000 rows in 20 tight clusters, the shares that are among the ten, twenty and forty nearest by codes.
template <class Q>
[[nodiscard]] std::array<double, 3> shares_of_nearest(Metric metric) {
  const Clusters data(3000, 24, 20, 25);
  constexpr std::size_t k = 10, queries = 64;
  const Coded<Q> all(metric, data.values(), 24);
  std::array<std::size_t, 3> found{};
  for (std::size_t q = 0; q < queries; ++q) {
    const auto nearest = [&](auto&& distance, std::size_t count) {
      std::vector<std::pair<double, std::size_t>> order;
      for (std::size_t r = 0; r < all.rows(); ++r) order.emplace_back(distance(r), r);
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
      std::set<std::size_t> out;
      for (std::size_t i = 0; i < count; ++i) out.insert(order[i].second);
      return out;
    };
    const auto prepared = all.prepare(data.query(q));
    const auto truth = nearest([&](std::size_t r) { return oracle_distance(metric, data.query(q), all.row(r)); }, k);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto some = nearest([&](std::size_t r) { return wide(prepared.at(static_cast<std::uint32_t>(r))); }, k << i);
      for (const auto r : truth) found[i] += some.count(r);
    }
  }
  std::array<double, 3> shares{};
  std::transform(found.begin(), found.end(), shares.begin(), [](std::size_t count) { return static_cast<double>(count) / (k * queries); });
  return shares;
}

}  // namespace quiver::test::coded
