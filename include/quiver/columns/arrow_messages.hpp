// The messages of an Arrow IPC file that a SCALAR block consists of. Source: Arrow columnar format 1.0, Schema.fbs, Message.fbs, File.fbs.
#pragma once

#include <quiver/columns/arrow_flatbuffer.hpp>
#include <quiver/columns/cell.hpp>
#include <quiver/core/trailer.hpp>

#include <string_view>
#include <utility>

namespace quiver::detail {

inline constexpr std::string_view arrow_begin_magic{"ARROW1\0\0", 8};
inline constexpr std::uint64_t arrow_alignment = 64;
inline constexpr std::uint32_t arrow_continuation = 0xFFFFFFFFu;

/// A record batch's place: Arrow's Block struct.
struct ArrowBlock {
  std::uint64_t offset = 0;
  std::uint32_t metadata_length = 0;
  std::uint64_t body_length = 0;
};
/// Rows and nulls of one array, and a stretch of a batch's body.
struct ArrowNode {
  std::uint64_t length = 0;
  std::uint64_t nulls = 0;
};
struct ArrowBuffer {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

namespace arrow {

// Values of Arrow's unions and enums.
inline constexpr std::int16_t metadata_v5 = 4;
inline constexpr std::uint8_t header_schema = 1, header_record_batch = 3;
inline constexpr std::uint8_t type_int = 2, type_float = 3, type_binary = 4, type_utf8 = 5, type_bool = 6, type_list = 12;

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline void put_pairs(FlatBuffer& out, std::size_t from, const Pairs& pairs) {
  const auto vector = out.put_references(pairs.size());
  out.link(from, vector);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto table = out.put_table({flat_reference(0), flat_reference(1)});
    out.link(FlatBuffer::reference_at(vector, i), table.position);
    out.link(table.fields[0], out.put_string(pairs[i].first));
    out.link(table.fields[1], out.put_string(pairs[i].second));
  }
}

struct TypeOf {
  std::uint8_t tag;
  std::int32_t bits = 0;       // int
  bool is_signed = false;      // int
  std::int16_t precision = 0;  // float: 1 single, 2 double
};

[[nodiscard]] constexpr TypeOf type_of(FieldType type) noexcept {
  switch (type) {
    case FieldType::boolean:
      return {type_bool};
    case FieldType::int32:
      return {type_int, 32, true};
    case FieldType::int64:
      return {type_int, 64, true};
    case FieldType::uint32:
      return {type_int, 32, false};
    case FieldType::uint64:
      return {type_int, 64, false};
    case FieldType::float32:
      return {type_float, 0, false, 1};
    case FieldType::float64:
      return {type_float, 0, false, 2};
    case FieldType::string:
      return {type_utf8};
    case FieldType::strings:
      return {type_list};
    case FieldType::bytes:
      return {type_binary};
  }
  return {type_binary};
}

inline void put_type(FlatBuffer& out, std::size_t from, const TypeOf& type) {
  const auto table = type.tag == type_int     ? out.put_table({flat_value(0, type.bits), flat_value(1, type.is_signed)})
                     : type.tag == type_float ? out.put_table({flat_value(0, type.precision)})
                                              : out.put_table({});
  out.link(from, table.position);
}

inline void put_field(FlatBuffer& out, std::size_t from, std::string_view name, const TypeOf& type, bool nullable, const Pairs& metadata) {
  const auto table =
      out.put_table({flat_reference(0), flat_value(1, nullable), flat_value(2, type.tag), flat_reference(3), flat_reference(5), flat_reference(6)});
  out.link(from, table.position);
  out.link(table.fields[0], out.put_string(name));
  put_type(out, table.fields[3], type);
  const std::size_t child_count = type.tag == type_list ? 1 : 0;
  const auto children = out.put_references(child_count);
  out.link(table.fields[5], children);
  if (child_count != 0) put_field(out, FlatBuffer::reference_at(children, 0), "item", {type_utf8}, true, {});
  put_pairs(out, table.fields[6], metadata);
}

inline void put_schema(FlatBuffer& out, std::size_t from, std::span<const PhysicalColumn> columns) {
  const auto table = out.put_table({flat_value(0, std::int16_t{0}), flat_reference(1), flat_reference(2)});  // 0: little endian
  out.link(from, table.position);
  const auto fields = out.put_references(columns.size());
  out.link(table.fields[1], fields);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto& column = columns[i];
    const Pairs facts{{"quiver.type", std::string(to_string(column.type))}, {"quiver.indexed", column.indexed ? "true" : "false"}};
    put_field(out, FlatBuffer::reference_at(fields, i), column.name, type_of(column.type), column.nullable, facts);
  }
  put_pairs(out, table.fields[2], {{"quiver.block", "scalar"}, {"quiver.format_version", std::to_string(block_format_version)}});
}

}  // namespace arrow

/// The message that opens the stream.
[[nodiscard]] inline Bytes arrow_schema_message(std::span<const PhysicalColumn> columns) {
  FlatBuffer out;
  const auto message =
      out.put_root({flat_value(0, arrow::metadata_v5), flat_value(1, arrow::header_schema), flat_reference(2), flat_value(3, std::int64_t{0})});
  arrow::put_schema(out, message.fields[2], columns);
  return out.take();
}

/// The message before the body of one record batch. Buffers are given relative to the body.
[[nodiscard]] inline Bytes arrow_batch_message(std::uint64_t rows, std::span<const ArrowNode> nodes, std::span<const ArrowBuffer> buffers,
                                               std::uint64_t body_length) {
  FlatBuffer out;
  const auto message =
      out.put_root({flat_value(0, arrow::metadata_v5), flat_value(1, arrow::header_record_batch), flat_reference(2), flat_value(3, body_length)});
  const auto batch = out.put_table({flat_value(0, rows), flat_reference(1), flat_reference(2)});
  out.link(message.fields[2], batch.position);
  out.link(batch.fields[1], out.begin_vector(nodes.size(), 8));
  for (const auto& node : nodes) {
    out.put(node.length);
    out.put(node.nulls);
  }
  out.link(batch.fields[2], out.begin_vector(buffers.size(), 8));
  for (const auto& buffer : buffers) {
    out.put(buffer.offset);
    out.put(buffer.length);
  }
  return out.take();
}

/// The footer of the file: the schema again, and where the record batches are.
[[nodiscard]] inline Bytes arrow_footer(std::span<const PhysicalColumn> columns, std::span<const ArrowBlock> batches) {
  FlatBuffer out;
  const auto footer = out.put_root({flat_value(0, arrow::metadata_v5), flat_reference(1), flat_reference(2), flat_reference(3)});
  arrow::put_schema(out, footer.fields[1], columns);
  out.link(footer.fields[2], out.begin_vector(0, 8));  // dictionaries
  out.link(footer.fields[3], out.begin_vector(batches.size(), 8));
  for (const auto& block : batches) {
    out.put(block.offset);
    out.put(block.metadata_length);
    out.put(std::uint32_t{0});
    out.put(block.body_length);
  }
  return out.take();
}

}  // namespace quiver::detail
