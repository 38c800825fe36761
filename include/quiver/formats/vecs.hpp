// fvecs, bvecs and ivecs as a whole: read into memory, written from it.
#pragma once

#include <quiver/formats/matrix.hpp>
#include <quiver/formats/vecs_reader.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace quiver {

/// For a reader's `limit`: every row.
inline constexpr std::size_t all_rows = std::numeric_limits<std::size_t>::max();

/// Reads the first `limit` rows; what comes after them is not looked at. Errors as VecsReader.
template <VecsElement T>
[[nodiscard]] Matrix<T> read_vecs(const std::filesystem::path& path, std::size_t limit = all_rows) {
  VecsReader<T> reader(path);
  Matrix<T> matrix;
  matrix.dimension = reader.dimension();
  // Bounded by the file's length, never by what a header says.
  if (const auto expected = reader.rows_expected())
    matrix.values.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*expected, limit)) * matrix.dimension);
  std::vector<T> row(matrix.dimension);
  while (matrix.rows < limit && reader.next(row)) {
    matrix.values.insert(matrix.values.end(), row.begin(), row.end());
    ++matrix.rows;
  }
  return matrix;
}

[[nodiscard]] inline Matrix<float> read_fvecs(const std::filesystem::path& path, std::size_t limit = all_rows) { return read_vecs<float>(path, limit); }
[[nodiscard]] inline Matrix<std::uint8_t> read_bvecs(const std::filesystem::path& path, std::size_t limit = all_rows) {
  return read_vecs<std::uint8_t>(path, limit);
}
[[nodiscard]] inline Matrix<std::int32_t> read_ivecs(const std::filesystem::path& path, std::size_t limit = all_rows) {
  return read_vecs<std::int32_t>(path, limit);
}

/// Writes a new file, or over an old one; not synced. Errc::invalid_argument for a matrix that no reader would accept (no rows, a dimension
/// outside 1 to 65,536, values that are not rows x dimension), io_error or no_space where the file cannot be written.
template <VecsElement T>
void write_vecs(const std::filesystem::path& path, const Matrix<T>& matrix) {
  if (matrix.rows == 0) detail::fail(Errc::invalid_argument, path, "a file of no rows cannot say its dimension; give at least one row");
  if (matrix.dimension < 1 || matrix.dimension > Schema::max_dimension)
    detail::fail(Errc::invalid_argument, path, "dimension " + std::to_string(matrix.dimension) + " is outside 1 to " + std::to_string(Schema::max_dimension));
  if (matrix.values.size() % matrix.dimension != 0 || matrix.values.size() / matrix.dimension != matrix.rows)
    detail::fail(
        Errc::invalid_argument, path,
        std::to_string(matrix.values.size()) + " values are not " + std::to_string(matrix.rows) + " rows of dimension " + std::to_string(matrix.dimension));
  const auto failed = [&path](const char* what) {
    const int reason = errno != 0 ? errno : EIO;
    const bool full = reason == ENOSPC || reason == EDQUOT;
    detail::fail(full ? Errc::no_space : Errc::io_error, path, std::string(what) + std::generic_category().message(reason));
  };
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out.is_open()) failed("cannot be created: ");
  const auto header = static_cast<std::int32_t>(matrix.dimension);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    const auto row = std::as_bytes(matrix.row(i));
    out.write(reinterpret_cast<const char*>(&header), sizeof header);
    out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size()));
    if (!out) failed("writing failed: ");
  }
  out.close();
  if (!out) failed("writing failed: ");
}

inline void write_fvecs(const std::filesystem::path& path, const Matrix<float>& matrix) { write_vecs(path, matrix); }
inline void write_bvecs(const std::filesystem::path& path, const Matrix<std::uint8_t>& matrix) { write_vecs(path, matrix); }
inline void write_ivecs(const std::filesystem::path& path, const Matrix<std::int32_t>& matrix) { write_vecs(path, matrix); }

}  // namespace quiver
