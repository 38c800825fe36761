// The forward store: reads keys, doc ids and scalars of a SCALAR block through any storage policy.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/columns/group_table.hpp>
#include <quiver/core/bitmap.hpp>

#include <optional>

namespace quiver::detail {

/// One open SCALAR block. Opening reads the directory and the group table, no column. Owns its reader. Any number of threads may use it, each with a scope
/// of its own; what is returned as text lives until the scope is renewed. Bytes that are read are not trusted: offsets that point nowhere are
/// Errc::corruption with path and offset.
template <class Reader>
class ScalarBlock {
 public:
  /// corruption: the file is not what `identity` and `schema` say.
  template <class Scope>
  ScalarBlock(Reader reader, Scope& scope, const FileIdentity& identity, const Schema& schema)
      : block_(std::move(reader), scope, identity, BlockKind::scalar), columns_(physical_columns(schema)) {
    const auto section = block_.section("groups");
    table_ = GroupTableParser(block_.view(scope, section, 0, section.length), section.offset, block_.section("arrow"), columns_, block_.path()).parse();
  }

  [[nodiscard]] std::uint64_t rows() const noexcept { return table_.rows; }
  [[nodiscard]] std::span<const GroupInfo> groups() const noexcept { return table_.groups; }
  [[nodiscard]] const std::vector<PhysicalColumn>& physical_schema() const noexcept { return columns_; }
  [[nodiscard]] const Block<Reader>& block() const noexcept { return block_; }
  [[nodiscard]] const Reader& reader() const noexcept { return block_.reader(); }

  /// The index of the group that holds a row: computed where groups are of one length, as the writer cuts them, in O(log groups) else. REQUIRES: row < rows().
  [[nodiscard]] std::size_t group_of(std::uint64_t row) const noexcept {
    const auto likely = row / table_.groups.front().rows;
    if (likely < table_.groups.size() && row - table_.groups[likely].first_row < table_.groups[likely].rows) return static_cast<std::size_t>(likely);
    const auto after = std::upper_bound(table_.groups.begin(), table_.groups.end(), row, [](std::uint64_t r, const GroupInfo& g) { return r < g.first_row; });
    return static_cast<std::size_t>(after - table_.groups.begin()) - 1;
  }

  // REQUIRES for all below: row < rows(), column < schema.fields().size().
  template <class Scope>
  [[nodiscard]] std::string_view key(Scope& scope, std::uint64_t row) const {
    const auto group = group_of(row);
    const auto& at = chunk(group, key_column);
    row -= table_.groups[group].first_row;
    const auto rows = table_.groups[group].rows;
    if (at.values.length % rows == 0) block_.touch(at.values, at.values.length / rows * row);  // where it lies if all keys of the group are of one length
    return text(scope, at, row);
  }
  template <class Scope>
  [[nodiscard]] DocId doc_id(Scope& scope, std::uint64_t row) const {
    const auto group = group_of(row);
    return {load_at<std::uint64_t>(scope, chunk(group, doc_id_column).values, row - table_.groups[group].first_row)};
  }
  /// The scalar of a field; `column` is its ordinal in schema.fields().
  template <class Scope>
  [[nodiscard]] Cell cell(Scope& scope, std::size_t column, std::uint64_t row) const {
    const auto group = group_of(row);
    const auto& at = chunk(group, first_field_column + column);
    row -= table_.groups[group].first_row;
    if (at.null_count != 0 && !bit(scope, at.validity, row)) return {};
    switch (columns_[first_field_column + column].type) {
      case FieldType::boolean:
        return bit(scope, at.values, row);
      case FieldType::int32:
        return std::int64_t{load_at<std::int32_t>(scope, at.values, row)};
      case FieldType::int64:
        return load_at<std::int64_t>(scope, at.values, row);
      case FieldType::uint32:
        return std::uint64_t{load_at<std::uint32_t>(scope, at.values, row)};
      case FieldType::uint64:
        return load_at<std::uint64_t>(scope, at.values, row);
      case FieldType::float32:
        return load_at<float>(scope, at.values, row);
      case FieldType::float64:
        return load_at<double>(scope, at.values, row);
      case FieldType::string:
      case FieldType::bytes:
        return text(scope, at, row);
      case FieldType::strings:
        return list(scope, at, row);
    }
    return {};
  }

  /// The row of a doc id, or nullopt. Computed where no id of its group is missing, O(log rows) reads else.
  template <class Scope>
  [[nodiscard]] std::optional<std::uint64_t> find_doc_id(Scope& scope, DocId id) const {
    const auto after = std::upper_bound(table_.groups.begin(), table_.groups.end(), id, [](DocId i, const GroupInfo& g) { return i < g.first_doc_id; });
    if (after == table_.groups.begin()) return std::nullopt;
    const auto group = static_cast<std::size_t>(after - table_.groups.begin()) - 1;
    const auto& info = table_.groups[group];
    if (id > info.last_doc_id) return std::nullopt;
    if (info.last_doc_id.value - info.first_doc_id.value == info.rows - 1) return info.first_row + (id.value - info.first_doc_id.value);
    const auto& ids = chunk(group, doc_id_column).values;
    // Ids ascend, so a row's id is at least first + row: row id - first is the last one that can hold it, and does where no id is missing before it.
    std::uint64_t low = 0, high = std::min(id.value - info.first_doc_id.value, info.rows - 1);
    for (auto probe = high; low <= high; probe = low + (high - low) / 2) {
      const auto found = load_at<std::uint64_t>(scope, ids, probe);
      if (found == id.value) return info.first_row + probe;
      if (found < id.value) {
        low = probe + 1;
      } else {
        if (probe == 0) break;
        high = probe - 1;
      }
    }
    return std::nullopt;
  }

  /// Reads ahead what key(), doc_id() and cell() of these rows and columns will view; the scope owns it until it is renewed. Worth its while where views are
  /// reads. Throws what viewing the offsets of text throws.
  template <class Scope>
  void prefetch(Scope& scope, std::span<const std::uint64_t> rows, std::span<const std::size_t> columns) const {
    std::vector<Range> ranges;
    // Offsets first: where text lies is known once they are there.
    for_each_chunk(rows, columns, [&](FieldType type, const ColumnChunk& at, std::uint64_t row) {
      if (at.null_count != 0) add(ranges, at.validity, row / 8, 1);
      if (at.offsets.length != 0)
        add(ranges, at.offsets, row * 4, 8);
      else if (type == FieldType::boolean)
        add(ranges, at.values, row / 8, 1);
      else
        add(ranges, at.values, row * fixed_width(type), fixed_width(type));
    });
    block_.reader().prefetch(scope, ranges);
    ranges.clear();
    for_each_chunk(rows, columns, [&](FieldType type, const ColumnChunk& at, std::uint64_t row) {
      if (at.offsets.length == 0) return;
      const auto [begin, end] = peek(scope, at.offsets, row);
      if (type == FieldType::strings)
        add(ranges, at.child_offsets, begin * 4, (end - begin + 1) * 4);
      else
        add(ranges, at.values, begin, end - begin);
    });
    block_.reader().prefetch(scope, ranges);
    ranges.clear();
    for_each_chunk(rows, columns, [&](FieldType type, const ColumnChunk& at, std::uint64_t row) {
      if (type != FieldType::strings) return;
      const auto [begin, end] = peek(scope, at.offsets, row);
      if (begin >= end || end > at.children) return;
      const auto first = peek(scope, at.child_offsets, begin).first, last = peek(scope, at.child_offsets, end - 1).second;
      add(ranges, at.values, first, last - first);
    });
    block_.reader().prefetch(scope, ranges);
  }

 private:
  using Pair = std::pair<std::uint64_t, std::uint64_t>;

  [[nodiscard]] const ColumnChunk& chunk(std::size_t group, std::size_t physical) const noexcept { return table_.chunks[group * columns_.size() + physical]; }

  // Buffers were checked at open to hold every row, so these stay within them.
  template <class T, class Scope>
  [[nodiscard]] T load_at(Scope& scope, const Range& buffer, std::uint64_t i) const {
    return load<T>(block_.reader().view(scope, buffer.offset + i * sizeof(T), sizeof(T)).data());
  }
  template <class Scope>
  [[nodiscard]] bool bit(Scope& scope, const Range& buffer, std::uint64_t i) const {
    return test_bit(block_.reader().view(scope, buffer.offset + i / 8, 1), i % 8);
  }

  // Two neighbouring offsets, checked against what they point into.
  template <class Scope>
  [[nodiscard]] Pair offsets_at(Scope& scope, const Range& buffer, std::uint64_t i, std::uint64_t limit) const {
    const auto pair = peek(scope, buffer, i);
    if (pair.first > pair.second || pair.second > limit) [[unlikely]]
      fail(Errc::corruption, block_.path(), buffer.offset + i * 4,
           "offsets " + std::to_string(pair.first) + " and " + std::to_string(pair.second) + " do not ascend within " + std::to_string(limit) +
               "; restore the file from a backup");
    return pair;
  }
  template <class Scope>
  [[nodiscard]] Pair peek(Scope& scope, const Range& buffer, std::uint64_t i) const {
    const auto bytes = block_.reader().view(scope, buffer.offset + i * 4, 8);
    return {load<std::uint32_t>(bytes.data()), load<std::uint32_t>(bytes.data() + 4)};
  }

  template <class Scope>
  [[nodiscard]] std::string_view text(Scope& scope, const ColumnChunk& at, std::uint64_t row) const {
    const auto [begin, end] = offsets_at(scope, at.offsets, row, at.values.length);
    if (begin == end) return {};
    return as_text(block_.reader().view(scope, at.values.offset + begin, static_cast<std::size_t>(end - begin)));
  }

  template <class Scope>
  [[nodiscard]] std::vector<std::string_view> list(Scope& scope, const ColumnChunk& at, std::uint64_t row) const {
    std::vector<std::string_view> elements;
    const auto [begin, end] = offsets_at(scope, at.offsets, row, at.children);
    if (begin == end) return elements;
    const auto count = static_cast<std::size_t>(end - begin);
    const auto bounds = block_.reader().view(scope, at.child_offsets.offset + begin * 4, (count + 1) * 4);
    const auto bound = [bounds](std::size_t i) { return std::uint64_t{load<std::uint32_t>(&bounds[i * 4])}; };
    const auto first = bound(0), last = bound(count);
    for (std::size_t i = 0; i < count; ++i)
      if (bound(i) > bound(i + 1) || last > at.values.length) [[unlikely]]
        fail(Errc::corruption, block_.path(), at.child_offsets.offset + (begin + i) * 4,
             "offsets of list elements do not ascend within " + std::to_string(at.values.length) + " bytes; restore the file from a backup");
    const auto all =
        first == last ? std::string_view() : as_text(block_.reader().view(scope, at.values.offset + first, static_cast<std::size_t>(last - first)));
    elements.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      elements.push_back(all.substr(static_cast<std::size_t>(bound(i) - first), static_cast<std::size_t>(bound(i + 1) - bound(i))));
    return elements;
  }

  template <class F>
  void for_each_chunk(std::span<const std::uint64_t> rows, std::span<const std::size_t> columns, F&& f) const {
    const auto column = [&](std::size_t physical) {
      for (const auto row : rows) {
        const auto group = group_of(row);
        f(columns_[physical].type, chunk(group, physical), row - table_.groups[group].first_row);
      }
    };
    column(key_column);
    column(doc_id_column);
    for (const auto c : columns) column(first_field_column + c);
  }
  // Joins stretches that share or touch a chunk, so that neighbouring rows become one read; drops what damaged offsets make of it.
  static void add(std::vector<Range>& ranges, const Range& buffer, std::uint64_t offset, std::uint64_t length) {
    if (length == 0 || !within(offset, length, buffer.length)) return;
    const auto begin = buffer.offset + offset, end = begin + length;
    if (!ranges.empty() && begin >= ranges.back().offset && begin <= ranges.back().offset + ranges.back().length + chunk_size) {
      ranges.back().length = static_cast<std::size_t>(std::max(end, ranges.back().offset + ranges.back().length) - ranges.back().offset);
      return;
    }
    ranges.push_back({begin, static_cast<std::size_t>(length)});
  }

  Block<Reader> block_;
  std::vector<PhysicalColumn> columns_;
  GroupTable table_;
};

}  // namespace quiver::detail
