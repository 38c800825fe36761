// One scalar of one row as a view, where a writer takes them from, and the physical columns of a block.
#pragma once

#include <quiver/schema/schema.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace quiver::detail {

/// One scalar; null is monostate. int32 and int64 are std::int64_t, uint32 and uint64 std::uint64_t, string and bytes std::string_view, strings a
/// vector. Text aliases the bytes it was read from: it lives as long as they do. A value.
using Cell = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, float, double, std::string_view, std::vector<std::string_view>>;

/// Rows in memory that a block is written from. `column` is the ordinal of schema.fields(); views live until the source changes.
template <class S>
concept ColumnSource = requires(const S& source, std::size_t column, std::uint64_t row) {
  { source.rows() } -> std::convertible_to<std::uint64_t>;
  { source.key(row) } -> std::same_as<std::string_view>;
  { source.doc_id(row) } -> std::same_as<DocId>;
  { source.cell(column, row) } -> std::same_as<Cell>;
};

/// A column as it stands in a block: `_key` and `_doc_id`, then the schema's fields.
struct PhysicalColumn {
  std::string name;
  FieldType type = FieldType::string;
  bool nullable = false;
  bool indexed = false;
};

inline constexpr std::size_t key_column = 0;
inline constexpr std::size_t doc_id_column = 1;
inline constexpr std::size_t first_field_column = 2;  // column of schema.fields()[0]

[[nodiscard]] inline std::vector<PhysicalColumn> physical_columns(const Schema& schema) {
  std::vector<PhysicalColumn> columns;
  columns.reserve(first_field_column + schema.fields().size());
  columns.push_back({"_key", FieldType::string, false, false});
  columns.push_back({"_doc_id", FieldType::uint64, false, false});
  for (const auto& field : schema.fields()) columns.push_back({std::string(field.name()), field.type(), field.is_nullable(), field.is_indexed()});
  return columns;
}

/// Bytes of one value of a fixed-width type; 0 for boolean (a bit each) and for text.
[[nodiscard]] constexpr std::size_t fixed_width(FieldType type) noexcept {
  switch (type) {
    case FieldType::int32:
    case FieldType::uint32:
    case FieldType::float32:
      return 4;
    case FieldType::int64:
    case FieldType::uint64:
    case FieldType::float64:
      return 8;
    case FieldType::boolean:
    case FieldType::string:
    case FieldType::strings:
    case FieldType::bytes:
      return 0;
  }
  return 0;
}

}  // namespace quiver::detail
