// One document as one line of JSON, without its vectors, and back: the types of the fields come from the schema.
#pragma once

#include <quiver/formats/binary_text.hpp>
#include <quiver/formats/json.hpp>
#include <quiver/schema/document.hpp>
#include <quiver/schema/schema.hpp>

#include <bit>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::detail {

inline constexpr std::string_view json_key_name = "_key";  // no field bears it

/// A finite number in decimal, the fewest digits that give the same number; any other by its bits.
template <std::floating_point T>
void append_json_float(std::string& to, T number) {
  if (number == 0 && std::signbit(number)) {
    to += "-0.0";  // without the fraction other readers take it for an integer and lose the sign
    return;
  }
  if (std::isfinite(number)) return append_json_number(to, number);
  to += sizeof(T) == 4 ? "{\"$float32\":\"" : "{\"$float64\":\"";
  append_hex(to, std::bit_cast<std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>(number));
  to += "\"}";
}

/// Appends a value as it is kept in a field: a number of the field's own type.
struct JsonValueWriter {
  std::string& to;

  void operator()(std::monostate) const { to += "null"; }
  void operator()(bool value) const { to += value ? "true" : "false"; }
  void operator()(std::int64_t value) const { append_json_number(to, value); }
  void operator()(std::uint64_t value) const { append_json_number(to, value); }
  void operator()(float value) const { append_json_float(to, value); }
  void operator()(double value) const { append_json_float(to, value); }
  void operator()(const std::string& value) const { append_json_string(to, value); }
  void operator()(const Strings& value) const {
    char before = '[';
    for (const auto& text : value) {
      to += std::exchange(before, ',');
      append_json_string(to, text);
    }
    to += value.empty() ? "[]" : "]";
  }
  void operator()(const Bytes& value) const {
    to += "{\"$bytes\":\"";
    append_base64(to, value);
    to += "\"}";
  }
  void operator()(const std::vector<float>&) const {}  // vectors are not in the line
};

/// Appends {"_key":...,"field":...} without a line end: every scalar field of the schema in its order, nulls too. REQUIRES: a document as it was fetched, with
/// all fields. O(bytes).
inline void append_json_document(std::string& to, const Schema& schema, const Document& document) {
  to += "{\"_key\":";
  append_json_string(to, document.key());
  std::size_t at = 0;
  for (const auto& field : schema.fields()) {
    // Fetched documents hold their fields in the schema's order.
    const auto fields = document.fields();
    if (at == fields.size() || fields[at].name() != field.name()) fail(Errc::invalid_argument, "a document without field " + quote(field.name()));
    to += ',';
    append_json_string(to, field.name());
    to += ':';
    std::visit(JsonValueWriter{to}, fields[at++].value().storage());
  }
  to += '}';
}

/// Reads one line after another against one schema. Not copied while in use; one thread.
class JsonDocumentReader {
 public:
  explicit JsonDocumentReader(const Schema& schema) : schema_(schema) {}

  /// The document in a line, with the fields that are in it, in any order; what is missing is for the schema to judge. Errors name path and offset: corruption
  /// for what is no such line, a key that is missing, a field twice; schema_mismatch for a field that the schema does not have as a scalar; type_mismatch for a
  /// value that its type cannot hold. O(bytes log fields).
  [[nodiscard]] Document read(JsonReader& json) {
    Document document;
    bool keyed = false;
    seen_.assign(schema_.fields().size(), false);
    json.object([&](std::string_view name) {
      if (name == json_key_name) {
        if (keyed) json.broken("_key is there twice");
        keyed = true;
        json.string(text_);
        DocumentAccess::set_key(document, text_);
        return;
      }
      const auto place = schema_.position(name);
      if (place >= schema_.fields().size()) json.refuse(Errc::schema_mismatch, "there is no scalar field " + quote(name) + " in the schema");
      if (seen_[place]) json.broken("field " + quote(name) + " is there twice");
      seen_[place] = true;
      const auto& field = schema_.fields()[place];
      DocumentAccess::append(document, field.name(), value(json, field));
    });
    json.end();
    if (!keyed) json.broken("the document has no _key");
    return document;
  }

 private:
  [[nodiscard]] Value value(JsonReader& json, const Field& field) {
    const auto kind = json.peek();
    if (kind == JsonKind::null) {
      json.null();
      return {};
    }
    const auto must_be = [&](JsonKind wanted) {
      if (kind != wanted) mismatch(json, field);
    };
    switch (field.type()) {
      case FieldType::boolean:
        must_be(JsonKind::boolean);
        return json.boolean();
      case FieldType::int32:
        return number<std::int32_t>(json, field);
      case FieldType::int64:
        return number<std::int64_t>(json, field);
      case FieldType::uint32:
        return number<std::uint32_t>(json, field);
      case FieldType::uint64:
        return number<std::uint64_t>(json, field);
      case FieldType::float32:
        if (kind == JsonKind::object) return bits<float, std::uint32_t>(json, field, "$float32");
        return number<float>(json, field);
      case FieldType::float64:
        if (kind == JsonKind::object) return bits<double, std::uint64_t>(json, field, "$float64");
        return number<double>(json, field);
      case FieldType::string:
        must_be(JsonKind::string);
        return json.string();
      case FieldType::strings:
        must_be(JsonKind::array);
        return strings(json);
      case FieldType::bytes: {
        must_be(JsonKind::object);
        tagged(json, field, "$bytes");
        Bytes bytes;
        if (!parse_base64(text_, bytes)) json.broken("field " + quote(field.name()) + ": this is not base64 with padding");
        return bytes;
      }
    }
    mismatch(json, field);
  }
  template <class T>
  [[nodiscard]] Value number(JsonReader& json, const Field& field) {
    if (json.peek() != JsonKind::number) mismatch(json, field);
    const auto text = json.number();
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) mismatch(json, field);
    return value;
  }
  template <class T, class Bits>
  [[nodiscard]] Value bits(JsonReader& json, const Field& field, std::string_view tag) {
    tagged(json, field, tag);
    Bits value{};
    if (!parse_hex(text_, value)) json.broken("field " + quote(field.name()) + ": " + std::to_string(2 * sizeof(Bits)) + " hexadecimal digits are expected");
    return std::bit_cast<T>(value);
  }
  [[nodiscard]] Value strings(JsonReader& json) {
    // Counted first: a list that grows would take several times its room.
    std::size_t count = 0;
    auto ahead = json;
    ahead.array([&] {
      ahead.string(text_);
      ++count;
    });
    Strings list;
    list.reserve(count);
    json.array([&] { json.string(list.emplace_back()); });
    return list;
  }
  /// Reads {"tag":"text"} into text_.
  void tagged(JsonReader& json, const Field& field, std::string_view tag) {
    bool found = false;
    json.object([&](std::string_view name) {
      if (found || name != tag) mismatch(json, field);
      found = true;
      json.string(text_);
    });
    if (!found) mismatch(json, field);
  }
  [[noreturn, gnu::cold, gnu::noinline]] static void mismatch(const JsonReader& json, const Field& field) {
    json.refuse(Errc::type_mismatch, "field " + quote(field.name()) + " is of type " + std::string(to_string(field.type())) + ", which cannot hold this");
  }

  const Schema& schema_;
  std::vector<bool> seen_;
  std::string text_;
};

}  // namespace quiver::detail
