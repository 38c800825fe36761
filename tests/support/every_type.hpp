// Rows with every field type, nulls, empty texts and lists, and the numbers at the ends of their ranges; the same in every run.
#pragma once

#include <quiver/columns/writer.hpp>

#include "support/block_bytes.hpp"

#include <array>
#include <bit>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace quiver::test {

inline constexpr std::array field_types{FieldType::boolean, FieldType::int32,   FieldType::int64,  FieldType::uint32,  FieldType::uint64,
                                        FieldType::float32, FieldType::float64, FieldType::string, FieldType::strings, FieldType::bytes};

// Two fields of each type: one of its name, which is never null, and "maybe_<name>", null in every third row.
[[nodiscard]] inline Schema every_type_schema() {
  std::vector<Field> fields;
  for (const auto type : field_types) {
    fields.emplace_back(std::string(to_string(type)), type, false, type == FieldType::int32);
    fields.emplace_back("maybe_" + std::string(to_string(type)), type, true, false);
  }
  return Schema(std::move(fields), {});
}

class EveryTypeRows {
 public:
  explicit EveryTypeRows(std::uint64_t rows) {
    for (std::uint64_t row = 0; row < rows; ++row) {
      keys_.push_back(row == 5 ? std::string(1024, 'k') : "key-" + std::to_string(row));
      texts_.push_back(text(row));
      std::vector<std::string> list;
      for (std::uint64_t i = 0; i < row % 4; ++i) list.push_back(text(row + i));
      lists_.push_back(std::move(list));
    }
  }

  [[nodiscard]] std::uint64_t rows() const noexcept { return keys_.size(); }
  [[nodiscard]] std::string_view key(std::uint64_t row) const { return keys_[at(row)]; }
  // Ascending, with gaps: 10 11 12 13 14 16 17 ...
  [[nodiscard]] DocId doc_id(std::uint64_t row) const { return {10 + row + row / 5}; }
  [[nodiscard]] detail::Cell cell(std::size_t column, std::uint64_t row) const {
    if (column % 2 == 1 && row % 3 == 1) return {};
    switch (field_types[column / 2]) {
      case FieldType::boolean:
        return row % 2 == 0;
      case FieldType::int32:
        return std::int64_t{number<std::int32_t>(row)};
      case FieldType::int64:
        return number<std::int64_t>(row);
      case FieldType::uint32:
        return std::uint64_t{number<std::uint32_t>(row)};
      case FieldType::uint64:
        return number<std::uint64_t>(row);
      case FieldType::float32:
        return real<float>(row);
      case FieldType::float64:
        return real<double>(row);
      case FieldType::string:
      case FieldType::bytes:
        return std::string_view(texts_[at(row)]);
      case FieldType::strings:
        return std::vector<std::string_view>(lists_[at(row)].begin(), lists_[at(row)].end());
    }
    return {};
  }

 private:
  static std::size_t at(std::uint64_t row) { return static_cast<std::size_t>(row); }
  static std::string text(std::uint64_t row) {
    switch (row % 6) {
      case 0:
        return "";
      case 1:
        return "a";
      case 2:
        return "gr\xc3\xbc\xc3\x9f \xe2\x9c\x93 \xf0\x9f\x8e\xac";
      case 3:
        return std::string("nul\0inside", 10);
      case 4:
        return std::string(300, static_cast<char>('a' + row % 26));
      default:
        return "row " + std::to_string(row);
    }
  }
  template <class T>
  static T number(std::uint64_t row) {
    const std::array<T, 4> ends{T{0}, T{1}, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
    return row % 5 < 4 ? ends[row % 5] : static_cast<T>(row * 37);
  }
  template <class T>
  static T real(std::uint64_t row) {
    using Limits = std::numeric_limits<T>;
    const std::array<T, 8> special{T(0),          -T(0),           Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), Limits::denorm_min(),
                                   Limits::max(), Limits::lowest()};
    return row % 9 < 8 ? special[row % 9] : static_cast<T>(row) * T(0.1);
  }

  std::vector<std::string> keys_;
  std::vector<std::string> texts_;
  std::vector<std::vector<std::string>> lists_;
};

// Equal in type and bits, so that NaN equals itself and 0 is not -0.
[[nodiscard]] inline bool same(const detail::Cell& a, const detail::Cell& b) {
  if (const auto* x = std::get_if<float>(&a))
    if (const auto* y = std::get_if<float>(&b)) return std::bit_cast<std::uint32_t>(*x) == std::bit_cast<std::uint32_t>(*y);
  if (const auto* x = std::get_if<double>(&a))
    if (const auto* y = std::get_if<double>(&b)) return std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(*y);
  return a == b;
}

inline constexpr FileId sample_scalar_id{0x3736353433323130ull, 0x4746454443424140ull};

// Rows of a source as a block in memory.
template <detail::ColumnSource S>
[[nodiscard]] std::pair<Bytes, FileIdentity> scalar_block(const Schema& schema, const S& source, std::uint64_t group_rows,
                                                          std::uint64_t text_limit = detail::default_text_limit) {
  BytesDraft draft;
  const auto identity = detail::write_scalar_block(draft, schema, source, 0, source.rows(), group_rows, text_limit, sample_scalar_id);
  return {std::move(draft.bytes), identity};
}

// The golden block: 23 rows of every type in groups of 10.
[[nodiscard]] inline std::pair<Bytes, FileIdentity> every_type_block() { return scalar_block(every_type_schema(), EveryTypeRows(23), 10); }

// Two rows of one nullable list: the block of the README's worked example.
struct TwoRows {
  [[nodiscard]] std::uint64_t rows() const noexcept { return 2; }
  [[nodiscard]] std::string_view key(std::uint64_t row) const { return row == 0 ? "tt0111161" : "tt0068646"; }
  [[nodiscard]] DocId doc_id(std::uint64_t row) const { return {7 + row}; }
  [[nodiscard]] detail::Cell cell(std::size_t, std::uint64_t row) const {
    if (row == 1) return {};
    return std::vector<std::string_view>{"Drama", "Crime"};
  }
};
[[nodiscard]] inline Schema two_rows_schema() { return Schema({Field("genres", FieldType::strings, true, false)}, {}); }
[[nodiscard]] inline std::pair<Bytes, FileIdentity> two_rows_block() { return scalar_block(two_rows_schema(), TwoRows{}, 10); }

}  // namespace quiver::test
