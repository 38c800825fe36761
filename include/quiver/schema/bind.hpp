// A document against its schema: everything is checked before anything is written.
#pragma once

#include <quiver/schema/document.hpp>
#include <quiver/schema/element.hpp>
#include <quiver/schema/finite.hpp>
#include <quiver/schema/schema.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::detail {

inline constexpr std::size_t max_key_bytes = 1024;

/// The most bytes of a text, of bytes or of a list, which counts four more for each of its texts: blocks find them by offsets of 31 bits.
inline constexpr std::uint64_t max_value_bytes = 0x7FFFFFFF;

/// A document in the order of its schema; refers to the document. Reused from one document to the next: no allocation once warm.
struct BoundRow {
  std::vector<const Value*> scalars;  // by ordinal of schema.fields(); nullptr: null
  std::vector<ByteSpan> vectors;      // by ordinal of schema.vectors(): the numbers as their field stores them
  std::vector<Bytes> stored;          // those that the document has otherwise
  std::vector<std::uint32_t> order;   // where the fields of the last document were found: the next one is likely alike
  std::vector<std::uint8_t> seen;
};

/// Errc::invalid_argument unless the key is 1 to 1,024 bytes of UTF-8.
inline void check_key(std::string_view key) {
  if (key.empty()) fail(Errc::invalid_argument, "a document's key is empty; give 1 to " + std::to_string(max_key_bytes) + " bytes of UTF-8");
  if (key.size() > max_key_bytes)
    fail(Errc::invalid_argument,
         "the key " + quote(key) + " has " + std::to_string(key.size()) + " bytes; give 1 to " + std::to_string(max_key_bytes) + " bytes of UTF-8");
  if (!valid_utf8(key)) fail(Errc::invalid_argument, "the key " + quote(key) + " is not UTF-8");
}

/// What max_value_bytes limits.
[[nodiscard]] inline std::uint64_t value_bytes(const Value& value) noexcept {
  if (const auto* text = std::get_if<std::string>(&value.storage())) return text->size();
  if (const auto* bytes = std::get_if<Bytes>(&value.storage())) return bytes->size();
  std::uint64_t sum = 0;
  if (const auto* list = std::get_if<Strings>(&value.storage()))
    for (const auto& text : *list) sum += 4 + text.size();
  return sum;
}
/// Errc::invalid_argument for a scalar that no block can hold, Errc::type_mismatch for text that is not UTF-8: `of()` says in a message whose it is.
template <class Of>
void check_text(const Field& field, const Value& value, Of&& of) {
  if (const auto bytes = value_bytes(value); bytes > max_value_bytes)
    fail(Errc::invalid_argument, of() + "field " + quote(field.name()) + " has " + std::to_string(bytes) + " bytes, " + std::to_string(max_value_bytes) +
                                     " are the most, and a text in a list counts four more; split it");
  const auto check = [&](const std::string& text) {
    if (!valid_utf8(text))
      fail(Errc::type_mismatch,
           of() + "field " + quote(field.name()) + " holds the text " + quote(text) + ", which is not UTF-8; use a bytes field for raw bytes");
  };
  if (const auto* text = std::get_if<std::string>(&value.storage())) check(*text);
  if (const auto* list = std::get_if<Strings>(&value.storage())) std::for_each(list->begin(), list->end(), check);
}
/// Checks the numbers of a vector: `of()` says in a message whose they are.
template <class Of>
void check_elements(const VectorField& field, std::span<const float> elements, Of&& of) {
  if (elements.size() != field.dimension())
    fail(Errc::dimension_mismatch, of() + "vector field " + quote(field.name()) + " has dimension " + std::to_string(field.dimension()) + ", the vector has " +
                                       std::to_string(elements.size()));
  const auto scan = scan_floats(elements);
  if (!scan.finite) {
    const auto at = first_not_finite(elements);
    fail(Errc::invalid_vector, of() + "vector field " + quote(field.name()) + ": element " + std::to_string(at) + " is " + std::to_string(elements[at]) +
                                   "; elements must be finite");
  }
  if (scan.zero && field.metric() == Metric::cosine)
    fail(Errc::invalid_vector, of() + "vector field " + quote(field.name()) + ": a vector of zeros has no direction, which cosine needs");
}

/// Errc::type_mismatch, with its place, for a number that the field's element cannot hold. REQUIRES: check_elements() took them.
template <class Of>
void check_fit(const VectorField& field, std::span<const float> elements, Of&& of) {
  const auto at = first_not_fitting(field.element(), elements);
  if (at == elements.size()) return;
  const auto kind = std::string(to_string(field.element()));
  fail(Errc::type_mismatch, of() + "vector field " + quote(field.name()) + " stores " + kind + ": element " + std::to_string(at) + " is " +
                                number_text(elements[at]) + "; give " +
                                (field.element() == Element::float16 ? std::string("numbers of at most 65504")
                                 : field.element() == Element::int8  ? std::string("whole numbers from -128 to 127")
                                                                     : std::string("whole numbers from 0 to 255")));
}
/// What rounding may have left of a vector under cosine: Errc::invalid_vector for nothing.
template <class Of>
void check_rounded(const VectorField& field, ByteSpan stored, Of&& of) {
  if (field.metric() != Metric::cosine || field.element() != Element::float16) return;
  for (std::size_t i = 0; i < stored.size(); i += 2)
    if ((load<std::uint16_t>(&stored[i]) & 0x7FFFu) != 0) return;
  fail(Errc::invalid_vector, of() + "vector field " + quote(field.name()) +
                                 " stores float16: every number rounds to zero, and a vector of zeros has no direction, which cosine needs");
}
/// Checks what was read back as check_elements() and check_rounded() checked it when it was written. REQUIRES: as many bytes as a row has.
template <class Of>
void check_stored(const VectorField& field, ByteSpan stored, std::vector<float>& room, Of&& of) {
  room.resize(field.dimension());
  load_elements(field.element(), stored, room);
  check_elements(field, room, of);
}

/// Errc::dimension_mismatch, invalid_vector or type_mismatch for a query that the field cannot answer: rows of floats and halves are compared with any floats,
/// bytes with bytes.
inline void check_query(const VectorField& field, std::span<const float> query) {
  const auto of = [] { return std::string("query: "); };
  check_elements(field, query, of);
  if (field.element() != Element::float16) check_fit(field, query, of);
}

/// Binds one document; its members are the checks.
class Binder {
 public:
  Binder(const Schema& schema, const Document& document, BoundRow& out) : schema_(schema), document_(document), out_(out) {}

  void run() {
    check_key(document_.key());
    const auto scalars = schema_.fields().size();
    out_.scalars.assign(scalars, nullptr);
    out_.vectors.assign(schema_.vectors().size(), {});
    out_.stored.resize(schema_.vectors().size());
    out_.seen.assign(scalars + out_.vectors.size(), 0);
    const auto fields = document_.fields();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto place = locate(fields[i].name(), i);
      if (out_.seen[place] != 0) refuse(Errc::invalid_argument, fields[i].name(), "is given twice; give it once");
      out_.seen[place] = 1;
      if (place < scalars) {
        bind_scalar(schema_.fields()[place], fields[i].value(), out_.scalars[place]);
      } else {
        bind_vector(schema_.vectors()[place - scalars], fields[i].value(), out_.vectors[place - scalars], out_.stored[place - scalars]);
      }
    }
    if (fields.size() != out_.seen.size()) refuse_missing();
  }

 private:
  std::size_t locate(const std::string& name, std::size_t i) {
    if (i < out_.order.size() && out_.order[i] < out_.seen.size() && schema_.name_at(out_.order[i]) == name) return out_.order[i];
    const auto place = schema_.position(name);
    if (place == Schema::npos) refuse(Errc::schema_mismatch, name, "is not in the schema");
    if (out_.order.size() <= i) out_.order.resize(i + 1, ~std::uint32_t{0});
    out_.order[i] = static_cast<std::uint32_t>(place);
    return place;
  }

  void bind_scalar(const Field& field, const Value& value, const Value*& out) const {
    if (value.is_null()) {
      if (!field.is_nullable()) refuse(Errc::schema_mismatch, field.name(), "is null, but not nullable");
      return;
    }
    if (!fits(field.type(), value))
      refuse(Errc::type_mismatch, field.name(), "is of type " + std::string(to_string(field.type())) + ", which cannot hold " + describe(value));
    check_text(field, value, [this] { return whose(); });
    out = &value;
  }

  void bind_vector(const VectorField& field, const Value& value, ByteSpan& out, Bytes& stored) const {
    if (value.is_null()) refuse(Errc::schema_mismatch, field.name(), "is null; vectors never are");
    std::span<const float> elements;
    if (!convert(value, elements)) {
      const auto* list = std::get_if<Strings>(&value.storage());
      // A list of nothing has no type: it is a vector with too few elements.
      if (list == nullptr || !list->empty()) refuse(Errc::type_mismatch, field.name(), "is a vector field, which cannot hold " + describe(value));
    }
    const auto of = [this] { return whose(); };
    check_elements(field, elements, of);
    if (field.element() == Element::float32) {
      out = std::as_bytes(elements);
      return;
    }
    check_fit(field, elements, of);
    stored.resize(elements.size() * element_bytes(field.element()));
    store_elements(field.element(), elements, stored.data());
    check_rounded(field, stored, of);
    out = stored;
  }

  static bool fits(FieldType type, const Value& value) {
    const auto& storage = value.storage();
    const bool integer = std::holds_alternative<std::int64_t>(storage) || std::holds_alternative<std::uint64_t>(storage);
    switch (type) {
      case FieldType::boolean:
        return std::holds_alternative<bool>(storage);
      case FieldType::int32:
        return integer && converts<std::int32_t>(value);
      case FieldType::int64:
        return integer && converts<std::int64_t>(value);
      case FieldType::uint32:
        return integer && converts<std::uint32_t>(value);
      case FieldType::uint64:
        return integer && converts<std::uint64_t>(value);
      case FieldType::float32:
        return converts<float>(value);
      case FieldType::float64:
        return converts<double>(value);
      case FieldType::string:
        return std::holds_alternative<std::string>(storage);
      case FieldType::strings:
        return std::holds_alternative<Strings>(storage);
      case FieldType::bytes:
        return std::holds_alternative<Bytes>(storage);
    }
    return false;
  }
  template <class T>
  static bool converts(const Value& value) {
    T out{};
    return convert(value, out);
  }

  void refuse_missing() const {
    const auto scalars = schema_.fields().size();
    for (std::size_t place = 0; place < out_.seen.size(); ++place) {
      if (out_.seen[place] != 0 || (place < scalars && schema_.fields()[place].is_nullable())) continue;
      refuse(Errc::schema_mismatch, schema_.name_at(place), place < scalars ? "is missing, but not nullable" : "is missing; every document has its vectors");
    }
  }

  [[nodiscard]] std::string whose() const { return "document " + quote(document_.key()) + ": "; }
  [[noreturn, gnu::cold, gnu::noinline]] void refuse(Errc code, std::string_view name, const std::string& why) const {
    fail(code, whose() + "field " + quote(name) + " " + why);
  }

  const Schema& schema_;
  const Document& document_;
  BoundRow& out_;
};

/// Validates the whole document and resolves it by the schema's ordinals. `out` refers to `document`. Errors name the key and the field.
inline void bind_document(const Schema& schema, const Document& document, BoundRow& out) { Binder(schema, document, out).run(); }

}  // namespace quiver::detail
