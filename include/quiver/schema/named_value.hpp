// A field's name with its value, and what a braced list of values means.
#pragma once

#include <quiver/schema/convert.hpp>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::detail {

struct DocumentAccess;

/// The value that a braced list stands for: texts are a list of strings, numbers a vector, nothing at all an empty list of strings.
/// Errc::type_mismatch for a mixture.
[[nodiscard]] inline Value list_value(std::string_view name, std::initializer_list<Value> list) {
  const auto wrong = [name](const Value& value, const char* what) {
    fail(Errc::type_mismatch, "field " + quote(name) + ": a braced list holds " + describe(value) + "; " + what);
  };
  if (list.size() == 0 || std::holds_alternative<std::string>(list.begin()->storage())) {
    Strings texts;
    texts.reserve(list.size());
    for (const auto& value : list) {
      const auto* text = std::get_if<std::string>(&value.storage());
      if (text == nullptr) wrong(value, "give texts only, or numbers only");
      texts.push_back(*text);
    }
    return Value(std::move(texts));
  }
  std::vector<float> numbers;
  numbers.reserve(list.size());
  for (const auto& value : list) {
    float number = 0;
    if (!convert(value, number)) wrong(value, "give texts only, or numbers that a float can hold only");
    numbers.push_back(number);
  }
  return Value(std::move(numbers));
}

}  // namespace quiver::detail

namespace quiver {

/// A field's name and its value, as documents and updates are written: {"year", 1994}, {"genres", {"Drama", "Crime"}}. Owns both.
class NamedValue {
 public:
  NamedValue(Name name, Value value) : name_(name.view()), value_(std::move(value)) {}
  NamedValue(Name name, std::initializer_list<Value> list) : name_(name.view()), value_(detail::list_value(name, list)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Value& value() const noexcept { return value_; }

  friend bool operator==(const NamedValue&, const NamedValue&) = default;

 private:
  friend class Document;
  friend struct detail::DocumentAccess;
  struct Taken {};  // keeps this constructor out of the way of the others
  NamedValue(Taken, std::string&& name, Value&& value) noexcept : name_(std::move(name)), value_(std::move(value)) {}

  std::string name_;
  Value value_;
};

}  // namespace quiver
