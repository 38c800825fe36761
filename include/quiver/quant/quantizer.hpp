// What a quantizer is: a way to keep rows in fewer bytes, from which distances can be estimated.
#pragma once

#include <quiver/distance/metric.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace quiver::detail {

/// How a quantizer sees a vector: its numbers, each multiplied by `factor`, which under cosine is the inverse norm, so that only directions are kept, and
/// else 1.
struct ScaledVector {
  std::span<const float> values;
  float factor = 1;
};

/// Where rows lie as codes, code_bytes() each, and their terms, a float each: null where the quantizer keeps none. A view.
struct CodeRows {
  const std::byte* codes = nullptr;
  const float* terms = nullptr;
};

/// A query, prepared once: `at(row)` estimates how far a row is, `each(rows, out)` how far some are.
template <class Q>
concept CodeQuery = requires(const Q& query, std::uint32_t row, std::span<const std::uint32_t> rows, float* out) {
  { query.at(row) } -> std::same_as<float>;
  query.fetch(row);
  { query.ahead() } -> std::same_as<std::size_t>;
  query.each(rows, out);
};

/// Learns from vectors (Trainer::add), then turns each into code_bytes() bytes and back, and estimates distances under its metric from the bytes and, where it
/// keeps terms, from what it told of the row when it encoded it. Once trained, immutable: any number of threads.
template <class Q>
concept Quantizer = requires(const Q& quantizer, typename Q::Trainer& trainer, Metric metric, const ScaledVector& vector, std::byte* code, const CodeRows& rows,
                             std::span<float> out) {
  typename Q::Trainer;
  trainer.add(vector);
  { trainer.finish(metric) } -> std::same_as<Q>;
  { quantizer.fits() } -> std::same_as<bool>;  // false: the numbers are too large, no distance can be estimated
  { quantizer.code_bytes() } -> std::same_as<std::size_t>;
  { quantizer.with_terms() } -> std::same_as<bool>;
  { quantizer.encode(vector, code) } -> std::same_as<float>;  // the row's term; 0 where none is kept
  quantizer.decode(rows.codes, out);
  { quantizer.prepare(vector, rows) } -> CodeQuery;
};

}  // namespace quiver::detail
