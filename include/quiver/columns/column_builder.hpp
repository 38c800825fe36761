// Gathers one column of one row group into Arrow's buffers.
#pragma once

#include <quiver/columns/cell.hpp>
#include <quiver/core/bitmap.hpp>
#include <quiver/core/bytes.hpp>
#include <quiver/schema/bind.hpp>

#include <algorithm>
#include <limits>

namespace quiver::detail {

/// One column's buffers in memory. fill() loops over rows with the type decided outside of the loop; buffers keep their capacity from group to group.
/// One thread.
class ColumnBuilder {
 public:
  /// Takes rows [first, first + rows) of a column. Returns how many fit: fewer than `rows` where more would make the text (and the child offsets of
  /// lists) longer than `text_limit`; the first always fits. schema_mismatch: a null where none may be; type_mismatch: a cell of another type;
  /// invalid_argument: one value is longer than 32-bit offsets can say.
  template <ColumnSource S>
  std::uint64_t fill(const S& source, const PhysicalColumn& column, std::size_t ordinal, std::uint64_t first, std::uint64_t rows, std::uint64_t text_limit) {
    begin(column, rows, text_limit);
    const auto cell_at = [&](std::uint64_t i) -> Cell { return source.cell(ordinal, first + i); };
    switch (column.type) {
      case FieldType::boolean:
        return fill_bits(cell_at);
      case FieldType::int32:
        return fill_numbers<std::int32_t, std::int64_t>(cell_at);
      case FieldType::int64:
        return fill_numbers<std::int64_t, std::int64_t>(cell_at);
      case FieldType::uint32:
        return fill_numbers<std::uint32_t, std::uint64_t>(cell_at);
      case FieldType::uint64:
        return fill_numbers<std::uint64_t, std::uint64_t>(cell_at);
      case FieldType::float32:
        return fill_numbers<float, float>(cell_at);
      case FieldType::float64:
        return fill_numbers<double, double>(cell_at);
      case FieldType::string:
      case FieldType::bytes:
        return fill_text(cell_at);
      case FieldType::strings:
        return fill_lists(cell_at);
    }
    fail(Errc::invalid_argument, "column '" + column.name + "' has no known type");
  }
  template <ColumnSource S>
  std::uint64_t fill_keys(const S& source, const PhysicalColumn& column, std::uint64_t first, std::uint64_t rows, std::uint64_t text_limit) {
    begin(column, rows, text_limit);
    offsets_.push_back(0);
    for (std::uint64_t i = 0; i < rows; ++i)
      if (!add_text(i, source.key(first + i))) return i;
    return rows;
  }
  /// invalid_argument: doc ids that do not ascend.
  template <ColumnSource S>
  void fill_doc_ids(const S& source, const PhysicalColumn& column, std::uint64_t first, std::uint64_t rows) {
    begin(column, rows, 0);
    values_.resize(static_cast<std::size_t>(rows * 8));
    for (std::uint64_t i = 0; i < rows; ++i) {
      const DocId id = source.doc_id(first + i);
      if (i != 0 && id.value <= last_doc_id().value)
        fail(Errc::invalid_argument, "doc ids must ascend: " + std::to_string(id.value) + " follows " + std::to_string(last_doc_id().value));
      store(&values_[static_cast<std::size_t>(i * 8)], id.value);
      last_doc_id_ = id;
    }
  }
  [[nodiscard]] DocId last_doc_id() const noexcept { return last_doc_id_; }

  [[nodiscard]] std::uint64_t null_count() const noexcept { return null_count_; }
  [[nodiscard]] std::uint64_t children() const noexcept { return child_offsets_.empty() ? 0 : child_offsets_.size() - 1; }
  [[nodiscard]] ByteSpan validity() const noexcept { return null_count_ == 0 ? ByteSpan{} : validity_.bytes(); }
  [[nodiscard]] ByteSpan offsets() const noexcept { return std::as_bytes(std::span(offsets_)); }
  [[nodiscard]] ByteSpan child_offsets() const noexcept { return std::as_bytes(std::span(child_offsets_)); }
  [[nodiscard]] ByteSpan values() const noexcept { return column_->type == FieldType::boolean ? bits_.bytes() : ByteSpan(values_); }

 private:
  void begin(const PhysicalColumn& column, std::uint64_t rows, std::uint64_t text_limit) {
    column_ = &column;
    rows_ = static_cast<std::size_t>(rows);
    text_limit_ = std::min<std::uint64_t>(text_limit, std::numeric_limits<std::int32_t>::max());
    null_count_ = 0;
    offsets_.clear();
    child_offsets_.clear();
    values_.clear();
    bits_.clear();
  }

  // Notes a null, or a cell of a type that the column does not have.
  [[gnu::cold, gnu::noinline]] void add_null(std::uint64_t row, const Cell& cell) {
    if (!std::holds_alternative<std::monostate>(cell))
      fail(Errc::type_mismatch, "a value given for column '" + column_->name + "' is no " + std::string(to_string(column_->type)));
    if (!column_->nullable) fail(Errc::schema_mismatch, "column '" + column_->name + "' is not nullable, but a null was given for it");
    if (null_count_++ == 0) {
      validity_ = Bitmap(rows_);
      for (std::size_t i = 0; i < row; ++i) validity_.set(i);
    }
  }
  void add_valid(std::uint64_t row) {
    if (null_count_ != 0) validity_.set(static_cast<std::size_t>(row));
  }

  template <class T, class Alternative, class CellAt>
  std::uint64_t fill_numbers(const CellAt& cell_at) {
    values_.resize(rows_ * sizeof(T));
    auto* to = values_.data();
    for (std::size_t i = 0; i < rows_; ++i, to += sizeof(T)) {
      const Cell cell = cell_at(i);
      if (const auto* value = std::get_if<Alternative>(&cell)) [[likely]] {
        store(to, static_cast<T>(*value));
        add_valid(i);
      } else {
        add_null(i, cell);
      }
    }
    return rows_;
  }
  template <class CellAt>
  std::uint64_t fill_bits(const CellAt& cell_at) {
    bits_ = Bitmap(rows_);
    for (std::size_t i = 0; i < rows_; ++i) {
      const Cell cell = cell_at(i);
      if (const auto* value = std::get_if<bool>(&cell)) [[likely]] {
        if (*value) bits_.set(i);
        add_valid(i);
      } else {
        add_null(i, cell);
      }
    }
    return rows_;
  }

  // False, and nothing is added, if the row is not to fit.
  [[nodiscard]] bool add_text(std::uint64_t row, std::string_view text) {
    if (text.size() > text_limit_ - std::min<std::uint64_t>(text_limit_, values_.size()) && row != 0) return false;
    if (text.size() > max_value_bytes) too_long(text.size());
    detail::append(values_, as_bytes(text));
    offsets_.push_back(static_cast<std::int32_t>(values_.size()));
    return true;
  }
  template <class CellAt>
  std::uint64_t fill_text(const CellAt& cell_at) {
    offsets_.push_back(0);
    for (std::size_t i = 0; i < rows_; ++i) {
      const Cell cell = cell_at(i);
      if (const auto* text = std::get_if<std::string_view>(&cell)) [[likely]] {
        if (!add_text(i, *text)) return i;
        add_valid(i);
      } else {
        add_null(i, cell);
        offsets_.push_back(offsets_.back());
      }
    }
    return rows_;
  }
  template <class CellAt>
  std::uint64_t fill_lists(const CellAt& cell_at) {
    offsets_.push_back(0);
    child_offsets_.push_back(0);
    for (std::size_t i = 0; i < rows_; ++i) {
      const Cell cell = cell_at(i);
      if (const auto* list = std::get_if<std::vector<std::string_view>>(&cell)) [[likely]] {
        std::uint64_t bytes = 4 * list->size();
        for (const auto text : *list) bytes += text.size();
        const std::uint64_t used = values_.size() + 4 * child_offsets_.size();
        if (bytes > text_limit_ - std::min(text_limit_, used) && i != 0) return i;
        if (bytes > max_value_bytes) too_long(bytes);
        for (const auto text : *list) {
          detail::append(values_, as_bytes(text));
          child_offsets_.push_back(static_cast<std::int32_t>(values_.size()));
        }
        add_valid(i);
      } else {
        add_null(i, cell);
      }
      offsets_.push_back(static_cast<std::int32_t>(child_offsets_.size() - 1));
    }
    return rows_;
  }
  [[noreturn, gnu::cold, gnu::noinline]] void too_long(std::uint64_t bytes) const {
    fail(Errc::invalid_argument,
         "a value of " + std::to_string(bytes) + " bytes for column '" + column_->name + "' is longer than the 2 GiB that a block can hold");
  }

  const PhysicalColumn* column_ = nullptr;
  std::size_t rows_ = 0;
  std::uint64_t text_limit_ = 0;
  std::uint64_t null_count_ = 0;
  DocId last_doc_id_;
  Bitmap validity_;
  Bitmap bits_;
  std::vector<std::int32_t> offsets_;
  std::vector<std::int32_t> child_offsets_;
  Bytes values_;
};

}  // namespace quiver::detail
