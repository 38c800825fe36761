// Rows of equal length, one after another.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace quiver {

/// A dense matrix, row major: rows x dimension values. A value that owns them.
template <class T>
struct Matrix {
  std::size_t rows = 0;
  std::size_t dimension = 0;
  std::vector<T> values = {};

  /// REQUIRES: i < rows.
  [[nodiscard]] std::span<const T> row(std::size_t i) const noexcept { return std::span<const T>(values).subspan(i * dimension, dimension); }
  [[nodiscard]] std::span<T> row(std::size_t i) noexcept { return std::span<T>(values).subspan(i * dimension, dimension); }

  friend bool operator==(const Matrix&, const Matrix&) = default;
};

}  // namespace quiver
