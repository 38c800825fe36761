// Makes owned values of cells, for documents that leave the library.
#pragma once

#include <quiver/columns/cell.hpp>
#include <quiver/core/bytes.hpp>
#include <quiver/schema/document.hpp>

#include <utility>

namespace quiver::detail {

/// Turns each alternative of a cell into a value of a field of the given type, which tells bytes from text.
struct ValueMaker {
  FieldType type;

  Value operator()(std::monostate) const { return {}; }
  Value operator()(std::string_view text) const {
    if (type != FieldType::bytes) return std::string(text);
    const auto bytes = as_bytes(text);
    return Bytes(bytes.begin(), bytes.end());
  }
  Value operator()(const std::vector<std::string_view>& texts) const { return Strings(texts.begin(), texts.end()); }
  template <class Number>
    requires std::is_arithmetic_v<Number>
  Value operator()(Number number) const {
    return number;
  }
};

/// The cell of a field as a value that owns its data.
[[nodiscard]] inline Value to_value(const Field& field, const Cell& cell) { return std::visit(ValueMaker{field.type()}, cell); }

/// Appends the cell of a field to a document. REQUIRES: the document does not hold the field yet.
inline void append_cell(Document& document, const Field& field, const Cell& cell) { DocumentAccess::append(document, field.name(), to_value(field, cell)); }

}  // namespace quiver::detail
