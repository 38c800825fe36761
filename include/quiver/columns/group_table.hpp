// The section "groups" of a SCALAR block: where each row group's buffers lie, so that opening parses no Arrow metadata.
// README.md beside this file shows the bytes.
#pragma once

#include <quiver/columns/cell.hpp>
#include <quiver/core/bytes.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace quiver::detail {

/// One row group: an Arrow record batch.
struct GroupInfo {
  std::uint64_t first_row = 0;
  std::uint64_t rows = 0;
  DocId first_doc_id;
  DocId last_doc_id;
};

/// One column of one group. Stretches count from the beginning of the file; one that the column does not have is {0, 0}.
struct ColumnChunk {
  std::uint64_t null_count = 0;
  std::uint64_t children = 0;  // strings: elements of all lists together
  Range validity;              // a bit per row, set = not null; absent where nothing is null
  Range offsets;               // text and lists: rows + 1 int32
  Range child_offsets;         // strings: children + 1 int32
  Range values;                // numbers, bits of booleans, characters
};

struct GroupTable {
  std::uint64_t rows = 0;
  std::vector<GroupInfo> groups;
  std::vector<ColumnChunk> chunks;  // group after group, each with every column
};

inline constexpr std::size_t group_table_header_size = 16;
inline constexpr std::size_t group_table_column_size = 8;
inline constexpr std::size_t group_header_size = 32;
inline constexpr std::size_t column_chunk_size = 80;

inline void append_chunk(Bytes& to, const ColumnChunk& chunk) {
  append(to, chunk.null_count);
  append(to, chunk.children);
  for (const auto& range : {chunk.validity, chunk.offsets, chunk.child_offsets, chunk.values}) {
    append(to, range.offset);
    append(to, static_cast<std::uint64_t>(range.length));
  }
}

[[nodiscard]] inline Bytes encode_group_table(const GroupTable& table, std::span<const PhysicalColumn> columns) {
  Bytes out;
  append(out, static_cast<std::uint32_t>(columns.size()));
  append(out, static_cast<std::uint32_t>(table.groups.size()));
  append(out, table.rows);
  for (const auto& column : columns) {
    append(out, column.type);
    append(out, static_cast<std::uint8_t>(column.nullable));
    out.resize(out.size() + group_table_column_size - 2);
  }
  auto chunk = table.chunks.begin();
  for (const auto& group : table.groups) {
    append(out, group.first_row);
    append(out, group.rows);
    append(out, group.first_doc_id.value);
    append(out, group.last_doc_id.value);
    for (std::size_t c = 0; c < columns.size(); ++c) append_chunk(out, *chunk++);
  }
  return out;
}

/// Parses the section and checks it whole: columns are those expected, groups follow one another in rows and doc ids, and every buffer lies aligned
/// within `data` and is as long as its rows demand. What offsets say of text is checked where they are read. Errc::corruption else.
class GroupTableParser {
 public:
  /// `base`: where the section begins in the file. `data`: the stretch that buffers may lie in.
  GroupTableParser(ByteSpan section, std::uint64_t base, const Range& data, std::span<const PhysicalColumn> columns, const std::filesystem::path& path)
      : in_(section, path, base), data_(data), columns_(columns) {}

  [[nodiscard]] GroupTable parse() {
    const auto column_count = in_.take<std::uint32_t>();
    const auto group_count = in_.take<std::uint32_t>();
    GroupTable table;
    table.rows = in_.take<std::uint64_t>();
    if (column_count != columns_.size())
      in_.broken("the block has " + std::to_string(column_count) + " columns, the schema asks for " + std::to_string(columns_.size()));
    for (const auto& column : columns_) parse_column(column);

    const std::size_t group_size = group_header_size + columns_.size() * column_chunk_size;
    if (in_.left() != group_count * std::uint64_t{group_size})
      in_.broken(std::to_string(in_.left()) + " bytes are left for " + std::to_string(group_count) + " groups of " + std::to_string(group_size));
    table.groups.reserve(group_count);
    table.chunks.reserve(group_count * columns_.size());
    std::uint64_t rows = 0;
    for (std::uint32_t g = 0; g < group_count; ++g) {
      table.groups.push_back(parse_group(rows, table.groups.empty() ? nullptr : &table.groups.back()));
      rows += table.groups.back().rows;
      for (const auto& column : columns_) table.chunks.push_back(parse_chunk(column, table.groups.back().rows));
    }
    if (rows != table.rows) in_.broken("the groups hold " + std::to_string(rows) + " rows, the table speaks of " + std::to_string(table.rows));
    return table;
  }

 private:
  void parse_column(const PhysicalColumn& column) {
    const auto type = in_.take<std::uint8_t>();
    const auto nullable = in_.take<std::uint8_t>();
    const auto zeros = in_.take(group_table_column_size - 2);
    if (type != static_cast<std::uint8_t>(column.type) || nullable != static_cast<std::uint8_t>(column.nullable) ||
        std::any_of(zeros.begin(), zeros.end(), [](std::byte b) { return b != std::byte{0}; }))
      in_.broken("column '" + column.name + "' is not the " + (column.nullable ? "nullable " : "") + std::string(to_string(column.type)) +
                 " column of the schema");
  }

  [[nodiscard]] GroupInfo parse_group(std::uint64_t first_row, const GroupInfo* before) {
    GroupInfo group;
    group.first_row = in_.take<std::uint64_t>();
    group.rows = in_.take<std::uint64_t>();
    group.first_doc_id.value = in_.take<std::uint64_t>();
    group.last_doc_id.value = in_.take<std::uint64_t>();
    if (group.first_row != first_row)
      in_.broken("a group begins at row " + std::to_string(group.first_row) + ", the one before it ends at " + std::to_string(first_row));
    // Every row has a doc id of 8 bytes, so this bounds the products and sums below.
    if (group.rows == 0 || group.rows > data_.length / 8)
      in_.broken("a group cannot have " + std::to_string(group.rows) + " rows in " + std::to_string(data_.length) + " bytes");
    if (group.last_doc_id < group.first_doc_id || group.last_doc_id.value - group.first_doc_id.value < group.rows - 1 ||
        (before != nullptr && group.first_doc_id <= before->last_doc_id))
      in_.broken("doc ids " + std::to_string(group.first_doc_id.value) + " to " + std::to_string(group.last_doc_id.value) +
                 " do not ascend over the rows of a group");
    return group;
  }

  [[nodiscard]] ColumnChunk parse_chunk(const PhysicalColumn& column, std::uint64_t rows) {
    ColumnChunk chunk;
    chunk.null_count = in_.take<std::uint64_t>();
    chunk.children = in_.take<std::uint64_t>();
    if (chunk.null_count > rows || (chunk.null_count != 0 && !column.nullable))
      in_.broken("column '" + column.name + "' cannot have " + std::to_string(chunk.null_count) + " nulls in " + std::to_string(rows) + " rows");
    const bool text = column.type == FieldType::string || column.type == FieldType::bytes;
    const bool list = column.type == FieldType::strings;
    if (list ? chunk.children > data_.length / 4 : chunk.children != 0)
      in_.broken("column '" + column.name + "' cannot have " + std::to_string(chunk.children) + " list elements");

    chunk.validity = parse_range(column, "validity", chunk.null_count == 0 ? 0 : (rows + 7) / 8);
    chunk.offsets = parse_range(column, "offsets", text || list ? (rows + 1) * 4 : 0);
    chunk.child_offsets = parse_range(column, "child offsets", list ? (chunk.children + 1) * 4 : 0);
    if (text || list)
      chunk.values = parse_range(column, "text", std::nullopt);
    else
      chunk.values = parse_range(column, "values", column.type == FieldType::boolean ? (rows + 7) / 8 : rows * fixed_width(column.type));
    return chunk;
  }

  // `length`: what it must be; text may have any that int32 offsets can reach.
  [[nodiscard]] Range parse_range(const PhysicalColumn& column, const char* what, std::optional<std::uint64_t> length) {
    const auto offset = in_.take<std::uint64_t>();
    const auto found = in_.take<std::uint64_t>();
    const auto broken = [&](const std::string& text) { in_.broken("column '" + column.name + "', " + what + ": " + text); };
    if (length ? found != *length : found > std::numeric_limits<std::int32_t>::max())
      broken(std::to_string(found) + " bytes are not what its rows demand" + (length ? ", " + std::to_string(*length) : std::string()));
    if (found == 0) {
      if (offset != 0) broken("an absent buffer lies at " + std::to_string(offset));
      return {};
    }
    if (offset % 64 != 0 || offset < data_.offset || !within(offset - data_.offset, found, data_.length))
      broken("offset " + std::to_string(offset) + " and length " + std::to_string(found) + " do not lie within the record batches, at a multiple of 64");
    return {offset, static_cast<std::size_t>(found)};
  }

  Cursor in_;
  Range data_;
  std::span<const PhysicalColumn> columns_;
};

}  // namespace quiver::detail
