// Writes rows as a SCALAR block: an Arrow IPC file with quiver's sections behind Arrow's end-of-stream mark.
#pragma once

#include <quiver/block/writer.hpp>
#include <quiver/columns/arrow_messages.hpp>
#include <quiver/columns/column_builder.hpp>
#include <quiver/columns/group_table.hpp>

#include <optional>

namespace quiver::detail {

inline constexpr std::uint64_t default_group_rows = 65536;
inline constexpr std::uint64_t default_text_limit = std::uint64_t{1} << 30;  // int32 offsets end at 2 GiB

/// Writes one SCALAR block group by group; memory is bounded by the buffers of one group. Does not own the draft. One thread.
template <class Draft>
class ScalarBlockWriter {
 public:
  ScalarBlockWriter(Draft& draft, const Schema& schema, std::optional<FileId> id = std::nullopt)
      : columns_(physical_columns(schema)), out_(draft, BlockKind::scalar, id), builders_(columns_.size()) {
    out_.begin_section("arrow");
    out_.append(as_bytes(arrow_begin_magic));
    append_message(arrow_schema_message(columns_));
  }

  /// Appends a group of the source's rows from `first` on: `rows` of them, or fewer where a text column would pass `text_limit` bytes. Returns how many.
  /// REQUIRES: rows > 0. invalid_argument: doc ids that do not ascend, over all groups.
  template <ColumnSource S>
  std::uint64_t append_group(const S& source, std::uint64_t first, std::uint64_t rows, std::uint64_t text_limit = default_text_limit) {
    const DocId first_id = source.doc_id(first);
    if (!table_.groups.empty() && first_id <= table_.groups.back().last_doc_id)
      fail(Errc::invalid_argument,
           "doc ids must ascend: " + std::to_string(first_id.value) + " follows " + std::to_string(table_.groups.back().last_doc_id.value));
    for (std::size_t c = 0; c < columns_.size();) {
      const auto fit = fill(source, c, first, rows, text_limit);
      // A column that holds fewer rows shortens the group: those gathered before it are gathered again, which is rare.
      c = fit == rows ? c + 1 : 0;
      rows = fit;
    }
    table_.groups.push_back({table_.rows, rows, first_id, builders_[doc_id_column].last_doc_id()});
    table_.rows += rows;
    append_batch(rows);
    return rows;
  }

  /// Ends the file. Nothing may be written afterwards.
  [[nodiscard]] FileIdentity finish() {
    Bytes mark;
    append(mark, arrow_continuation);
    append(mark, std::uint32_t{0});
    out_.append(mark);
    out_.end_section();
    out_.begin_section("groups");
    out_.append(encode_group_table(table_, columns_));
    out_.end_section();
    return out_.finish(arrow_footer(columns_, batches_), arrow_end_magic);
  }

 private:
  template <ColumnSource S>
  std::uint64_t fill(const S& source, std::size_t c, std::uint64_t first, std::uint64_t rows, std::uint64_t text_limit) {
    if (c == key_column) return builders_[c].fill_keys(source, columns_[c], first, rows, text_limit);
    if (c != doc_id_column) return builders_[c].fill(source, columns_[c], c - first_field_column, first, rows, text_limit);
    builders_[c].fill_doc_ids(source, columns_[c], first, rows);
    return rows;
  }

  // A message with its prefix, padded so that what follows it begins at a multiple of 64. Returns the bytes that Arrow counts as metadata.
  std::uint32_t append_message(const Bytes& message) {
    const auto begin = out_.position();
    const auto length = align_up(begin + 8 + message.size(), arrow_alignment) - begin;
    Bytes prefix;
    append(prefix, arrow_continuation);
    append(prefix, static_cast<std::uint32_t>(length - 8));
    out_.append(prefix);
    out_.append(message);
    out_.pad(arrow_alignment);
    return static_cast<std::uint32_t>(length);
  }

  void append_batch(std::uint64_t rows) {
    nodes_.clear();
    buffers_.clear();
    pieces_.clear();
    std::uint64_t body = 0;
    const auto place = [&](ByteSpan piece) -> Range {  // relative to the body, for now
      buffers_.push_back({body, piece.size()});
      pieces_.push_back(piece);
      const Range range{body, piece.size()};
      body += align_up(piece.size(), arrow_alignment);
      return range;
    };
    const auto first_chunk = table_.chunks.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const auto& built = builders_[c];
      ColumnChunk chunk;
      chunk.null_count = built.null_count();
      chunk.children = built.children();
      nodes_.push_back({rows, chunk.null_count});
      chunk.validity = place(built.validity());
      if (!built.offsets().empty()) chunk.offsets = place(built.offsets());
      if (!built.child_offsets().empty()) {
        nodes_.push_back({chunk.children, 0});
        place({});  // elements are never null
        chunk.child_offsets = place(built.child_offsets());
      }
      chunk.values = place(built.values());
      table_.chunks.push_back(chunk);
    }
    const auto begin = out_.position();
    const auto metadata = append_message(arrow_batch_message(rows, nodes_, buffers_, body));
    const auto body_begin = out_.position();
    batches_.push_back({begin, metadata, body});
    for (const auto piece : pieces_) {
      out_.append(piece);
      out_.pad(arrow_alignment);
    }
    for (auto c = first_chunk; c < table_.chunks.size(); ++c) {
      auto& chunk = table_.chunks[c];
      for (auto* range : {&chunk.validity, &chunk.offsets, &chunk.child_offsets, &chunk.values})
        range->offset = range->length == 0 ? 0 : range->offset + body_begin;
    }
  }

  std::vector<PhysicalColumn> columns_;
  BlockWriter<Draft> out_;
  std::vector<ColumnBuilder> builders_;  // per column
  GroupTable table_;
  std::vector<ArrowBlock> batches_;
  std::vector<ArrowNode> nodes_;
  std::vector<ArrowBuffer> buffers_;
  std::vector<ByteSpan> pieces_;
};

/// Writes rows [first_row, first_row + rows) of the source as one SCALAR block, `group_rows` to a group.
template <ColumnSource S, class Draft>
[[nodiscard]] FileIdentity write_scalar_block(Draft& draft, const Schema& schema, const S& source, std::uint64_t first_row, std::uint64_t rows,
                                              std::uint64_t group_rows = default_group_rows, std::uint64_t text_limit = default_text_limit,
                                              std::optional<FileId> id = std::nullopt) {
  if (group_rows == 0 || !within(first_row, rows, source.rows()))
    fail(Errc::invalid_argument, "a block is written from rows that are there, in groups of at least one");
  ScalarBlockWriter<Draft> writer(draft, schema, id);
  for (std::uint64_t row = first_row, end = first_row + rows; row < end;) row += writer.append_group(source, row, std::min(group_rows, end - row), text_limit);
  return writer.finish();
}

}  // namespace quiver::detail
