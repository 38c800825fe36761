// Reading fvecs, bvecs and ivecs row by row.
// Source: the TEXMEX corpora's file formats; each row is its dimension as int32, then its elements, little endian.
#pragma once

#include <quiver/core/bytes.hpp>
#include <quiver/schema/schema.hpp>

#include <cerrno>
#include <concepts>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace quiver {

/// The element types of the three formats: float (fvecs), unsigned byte (bvecs), int32 (ivecs).
template <class T>
concept VecsElement = std::same_as<T, float> || std::same_as<T, std::uint8_t> || std::same_as<T, std::int32_t>;

/// A file of the family, open at its next row. Move-only; one thread.
/// Errors: not_found for no file; io_error where it cannot be read; corruption with path and offset for an empty file, a header
/// that is cut or out of 1 to 65,536, a row of another dimension than the first, a row that is cut.
template <VecsElement T>
class VecsReader {
 public:
  explicit VecsReader(std::filesystem::path path) : path_(std::move(path)) {
    open();
    dimension_ = read_header();
    if (dimension_ == 0) detail::fail(Errc::corruption, path_, 0, "the file is empty; it should hold at least one row");
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// The length of every row.
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  /// Rows read so far.
  [[nodiscard]] std::uint64_t row() const noexcept { return row_; }
  /// Bytes of a row with its header.
  [[nodiscard]] std::uint64_t row_bytes() const noexcept { return header_bytes + std::uint64_t{dimension_} * sizeof(T); }
  /// How many rows the file's length has room for; nullopt for what has no length, a pipe. No promise: a damaged file has fewer.
  [[nodiscard]] std::optional<std::uint64_t> rows_expected() const noexcept { return length_ ? std::optional(*length_ / row_bytes()) : std::nullopt; }

  /// Reads the next row into `to`; false at the end of the file. REQUIRES: to.size() == dimension().
  bool next(std::span<T> to) {
    if (!header_read_) {
      const auto dimension = read_header();
      if (dimension == 0) return false;
      if (dimension != dimension_)
        broken("has dimension " + std::to_string(dimension) + ", the rows before it " + std::to_string(dimension_) + "; rows of a file have one dimension");
    }
    const auto wanted = std::uint64_t{dimension_} * sizeof(T);
    const auto found = read_bytes(reinterpret_cast<char*>(to.data()), static_cast<std::size_t>(wanted));
    if (found != wanted)
      broken("is cut: " + std::to_string(wanted) + " bytes of elements expected, " + std::to_string(found) + " found; the file is incomplete");
    header_read_ = false;
    ++row_;
    offset_ += row_bytes();
    return true;
  }
  /// The next row, in a buffer that the next call overwrites; nullopt at the end of the file.
  [[nodiscard]] std::optional<std::span<const T>> next() {
    buffer_.resize(dimension_);
    if (!next(std::span<T>(buffer_))) return std::nullopt;
    return std::span<const T>(buffer_);
  }

 private:
  static constexpr std::size_t header_bytes = 4;

  void open() {
    std::error_code error;
    const auto status = std::filesystem::status(path_, error);
    if (status.type() == std::filesystem::file_type::not_found) detail::fail(Errc::not_found, path_, "there is no such file");
    if (status.type() == std::filesystem::file_type::directory) detail::fail(Errc::io_error, path_, "this is a folder; give a file");
    errno = 0;
    in_.open(path_, std::ios::binary);
    if (!in_.is_open()) detail::fail(Errc::io_error, path_, "cannot be opened: " + std::generic_category().message(errno != 0 ? errno : EIO));
    if (status.type() == std::filesystem::file_type::regular) {
      const auto length = std::filesystem::file_size(path_, error);
      if (!error) length_ = length;
    }
  }
  /// The bytes that were there, fewer than wanted only at the end of the file.
  std::size_t read_bytes(char* to, std::size_t wanted) {
    in_.read(to, static_cast<std::streamsize>(wanted));
    if (in_.bad()) detail::fail(Errc::io_error, path_, offset_, "reading failed");
    return static_cast<std::size_t>(in_.gcount());
  }
  /// The dimension in front of a row; 0 at the end of the file.
  std::size_t read_header() {
    std::byte header[header_bytes];
    const auto found = read_bytes(reinterpret_cast<char*>(header), sizeof header);
    if (found == 0) return 0;
    if (found != sizeof header) broken("has a header of " + std::to_string(found) + " bytes instead of 4; the file is incomplete");
    const auto dimension = detail::load<std::int32_t>(header);
    if (dimension < 1 || static_cast<std::size_t>(dimension) > Schema::max_dimension)
      broken("has dimension " + std::to_string(dimension) + ", outside 1 to " + std::to_string(Schema::max_dimension) + "; is the file of another format?");
    header_read_ = true;
    return static_cast<std::size_t>(dimension);
  }
  [[noreturn]] void broken(const std::string& what) const {
    detail::fail(Errc::corruption, path_, offset_, "row " + std::to_string(row_) + " (counted from 0) " + what);
  }

  std::filesystem::path path_;
  std::ifstream in_;
  std::optional<std::uint64_t> length_;
  std::size_t dimension_ = 0;
  std::uint64_t row_ = 0;
  std::uint64_t offset_ = 0;  // where row_ begins
  bool header_read_ = false;
  std::vector<T> buffer_;
};

using FvecsReader = VecsReader<float>;
using BvecsReader = VecsReader<std::uint8_t>;
using IvecsReader = VecsReader<std::int32_t>;

}  // namespace quiver
