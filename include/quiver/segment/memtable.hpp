// Documents that were inserted and not yet flushed: columns, vectors and keys in memory.
#pragma once

#include <quiver/columns/cell.hpp>
#include <quiver/core/checksum.hpp>
#include <quiver/index/flat.hpp>
#include <quiver/schema/bind.hpp>
#include <quiver/schema/schema.hpp>
#include <quiver/segment/key_table.hpp>
#include <quiver/segment/stable_rows.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quiver::detail {

class MemtableGraphs;

/// Rows in insertion order, doc ids dense from first_doc_id. One thread appends; any number of threads read the rows that a snapshot
/// published to them, without locks: what is there never moves. A column source, so a flush writes it as it stands.
class Memtable {
 public:
  static constexpr std::uint64_t max_rows = std::numeric_limits<std::uint32_t>::max() - 1;

  Memtable(const Schema& schema, DocId first) : first_(first) {
    for (const auto& field : schema.fields()) columns_.emplace_back(field.type());
    for (const auto& field : schema.vectors()) vectors_.push_back(std::make_unique<VectorColumn>(field));
  }

  /// The writer's own count, published rows and those of the running batch. Not for readers: they have the mark of their moment.
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  /// Approximate bytes of the values held; a flush is due by this. The writer's own too.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] DocId doc_id(std::uint64_t row) const noexcept { return DocId{first_.value + row}; }
  [[nodiscard]] std::string_view key(std::uint64_t row) const noexcept { return keys_[row]; }
  /// The numbers as the field stores them, aligned for them.
  [[nodiscard]] ByteSpan vector(std::size_t field, std::uint64_t row) const noexcept { return {vectors_[field]->rows.row(row), vectors_[field]->row_bytes}; }

  [[nodiscard]] Cell cell(std::size_t column, std::uint64_t row) const {
    const Column& c = columns_[column];
    if (c.type == FieldType::string || c.type == FieldType::bytes) {
      const auto text = c.texts[row];
      return text.data() == nullptr ? Cell{} : Cell{text};
    }
    if (c.type == FieldType::strings) {
      const auto list = c.lists[row];
      return list.data() == nullptr ? Cell{} : Cell{std::vector<std::string_view>(list.begin(), list.end())};
    }
    if (c.nulls[row]) return Cell{};
    const std::uint64_t bits = c.numbers[row];
    switch (c.type) {
      case FieldType::boolean:
        return Cell{bits != 0};
      case FieldType::int32:
      case FieldType::int64:
        return Cell{static_cast<std::int64_t>(bits)};
      case FieldType::float32:
        return Cell{std::bit_cast<float>(static_cast<std::uint32_t>(bits))};
      case FieldType::float64:
        return Cell{std::bit_cast<double>(bits)};
      default:
        return Cell{bits};
    }
  }

  /// The newest row of `key` among the first `rows`, deleted or not; nullopt where it is not.
  [[nodiscard]] std::optional<std::uint64_t> find(std::string_view key, std::uint64_t print, std::uint64_t rows) const {
    const auto row = table_.find(print, [&](std::uint64_t r) { return r < rows && keys_[r] == key; });
    return row == ~std::uint64_t{0} ? std::nullopt : std::optional(row);
  }

  /// Appends a bound document; not visible to anyone until its row is published. REQUIRES: rows() < max_rows.
  void append(std::string_view key, std::uint64_t print, const BoundRow& row) {
    append_unindexed(key, row);
    table_.insert(print, rows_ - 1);
  }
  /// The same for one of many: find() does not know it before index_keys(). Between the two no other append().
  void append_unindexed(std::string_view key, const BoundRow& row) {
    const auto at = rows_;
    keys_.append(at, arena_.keep(key));
    bytes_ += key.size() + 32;
    for (std::size_t i = 0; i < columns_.size(); ++i) append_scalar(columns_[i], at, row.scalars[i]);
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      auto& column = *vectors_[i];
      const auto values = row.vectors[i];
      auto* const to = column.rows.grow(at);
      std::copy(values.begin(), values.end(), to);
      if (column.metric == Metric::cosine) {
        const FlatRows one{to, nullptr, 1, column.dimension, column.element};
        column.inverse_norms.append(at, inverse_norm({one.floats(0, 1, widened_), column.dimension}));
      }
      bytes_ += values.size();
    }
    ++rows_;
  }
  void index_keys() {
    table_.reserve(rows_);
    std::array<std::uint64_t, 1024> prints;
    while (table_.rows() < rows_) {
      const auto first = table_.rows();
      const auto count = std::min<std::uint64_t>(prints.size(), rows_ - first);
      for (std::uint64_t i = 0; i < count; ++i) prints[i] = fingerprint(keys_[first + i]);
      table_.insert(std::span(prints).first(count), first);
    }
  }
  /// How far the memtable had grown: what readers of a moment may see, and the place to go back to when a batch fails.
  struct Mark {
    std::uint64_t rows = 0, bytes = 0;
  };
  [[nodiscard]] Mark mark() const noexcept { return {rows_, bytes_}; }
  /// Takes back the rows of a batch that failed. REQUIRES: no row after the mark was published.
  void truncate(Mark mark) {
    table_.truncate(mark.rows);
    rows_ = mark.rows;
    bytes_ = mark.bytes;
  }

  /// One vector. REQUIRES: published to this thread.
  [[nodiscard]] FlatRows one(std::size_t field, std::uint64_t row) const noexcept {
    const auto& column = *vectors_[field];
    return {column.rows.row(row), column.metric == Metric::cosine ? column.inverse_norms.row(row) : nullptr, 1, column.dimension, column.element};
  }
  /// What others make of the vectors; null: nothing. They refer to this.
  [[nodiscard]] const std::shared_ptr<MemtableGraphs>& graphs() const noexcept { return graphs_; }
  /// REQUIRES: nobody else has the memtable yet.
  void carry(std::shared_ptr<MemtableGraphs> graphs) noexcept { graphs_ = std::move(graphs); }

  /// Calls visit(first row, FlatRows) for each contiguous stretch of the first `rows` vectors of a field.
  template <class Visit>
  void for_each_flat(std::size_t field, std::uint64_t rows, Visit&& visit) const {
    const auto& column = *vectors_[field];
    column.rows.for_each_piece(rows, [&](std::uint64_t first, const std::byte* data, std::size_t count) {
      if (column.metric != Metric::cosine) return visit(first, FlatRows{data, nullptr, count, column.dimension, column.element});
      // The norms' pieces are cut elsewhere: hand out what is contiguous in both.
      column.inverse_norms.for_each_piece(rows, [&](std::uint64_t norm_first, const float* norms, std::size_t norm_count) {
        const auto from = std::max(first, norm_first);
        const auto to = std::min(first + count, norm_first + norm_count);
        if (from < to)
          visit(from, FlatRows{data + (from - first) * column.row_bytes, norms + (from - norm_first), static_cast<std::size_t>(to - from), column.dimension,
                               column.element});
      });
    });
  }

 private:
  struct Column {
    explicit Column(FieldType t) : type(t) {}
    FieldType type;
    StableRows<std::uint64_t> numbers;
    StableRows<std::uint8_t> nulls;
    StableRows<std::string_view> texts;
    StableRows<std::span<const std::string_view>> lists;
  };
  struct VectorColumn {
    explicit VectorColumn(const VectorField& field)
        : dimension(field.dimension()),
          row_bytes(field.dimension() * element_bytes(field.element())),
          metric(field.metric()),
          element(field.element()),
          rows(row_bytes) {}
    std::size_t dimension, row_bytes;
    Metric metric;
    Element element;
    StableRows<std::byte> rows;
    StableRows<float> inverse_norms;
  };

  template <class T>
  static std::uint64_t bits_of(const Value& value) {
    T converted{};
    // bind_document has shown that it converts.
    (void)convert(value, converted);
    if constexpr (std::same_as<T, float>)
      return std::bit_cast<std::uint32_t>(converted);
    else if constexpr (std::same_as<T, double>)
      return std::bit_cast<std::uint64_t>(converted);
    else if constexpr (std::same_as<T, std::int32_t>)
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(converted));
    else
      return static_cast<std::uint64_t>(converted);
  }
  static std::uint64_t number(FieldType type, const Value& value) {
    switch (type) {
      case FieldType::boolean:
        return bits_of<bool>(value);
      case FieldType::int32:
        return bits_of<std::int32_t>(value);
      case FieldType::int64:
        return bits_of<std::int64_t>(value);
      case FieldType::uint32:
        return bits_of<std::uint32_t>(value);
      case FieldType::float32:
        return bits_of<float>(value);
      case FieldType::float64:
        return bits_of<double>(value);
      default:
        return bits_of<std::uint64_t>(value);
    }
  }
  void append_scalar(Column& column, std::uint64_t at, const Value* value) {
    const bool null = value == nullptr;
    if (column.type == FieldType::string || column.type == FieldType::bytes) {
      std::string_view text;
      if (!null) {
        text = column.type == FieldType::string ? std::string_view(std::get<std::string>(value->storage())) : as_text(std::get<Bytes>(value->storage()));
        bytes_ += text.size();
        text = arena_.keep(text);
      }
      column.texts.append(at, text);
      bytes_ += sizeof text;
    } else if (column.type == FieldType::strings) {
      std::span<const std::string_view> list;
      if (!null) list = arena_.keep(std::get<Strings>(value->storage()));
      for (const auto& text : list) bytes_ += text.size() + sizeof text;
      column.lists.append(at, list);
      bytes_ += sizeof list;
    } else {
      column.nulls.append(at, null ? 1 : 0);
      column.numbers.append(at, null ? 0 : number(column.type, *value));
      bytes_ += 9;
    }
  }

  DocId first_;
  std::uint64_t rows_ = 0;
  std::uint64_t bytes_ = 0;
  Arena arena_;
  StableRows<std::string_view> keys_;
  std::vector<Column> columns_;
  std::vector<std::unique_ptr<VectorColumn>> vectors_;
  std::vector<float> widened_;  // the writer's
  KeyTable table_;
  std::shared_ptr<MemtableGraphs> graphs_;  // goes first
};

}  // namespace quiver::detail
