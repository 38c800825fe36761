// A document: its key and its named values.
#pragma once

#include <quiver/schema/named_value.hpp>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quiver {

/// A primary key and the fields given or fetched, each name once. What a document holds is checked against a schema when it is written.
/// A value that owns its data; one thread at a time.
class Document {
 public:
  Document() = default;
  explicit Document(Name key) : key_(key.view()) {}
  /// Errc::invalid_argument if a field is given twice.
  Document(Name key, std::initializer_list<NamedValue> fields) : key_(key.view()), fields_(fields) { refuse_twins(); }

  [[nodiscard]] const std::string& key() const noexcept QUIVER_LIFETIMEBOUND { return key_; }
  /// The number the collection gave it; 0 for a document that was not fetched.
  [[nodiscard]] DocId id() const noexcept { return id_; }
  /// True if the field was given or fetched, null or not.
  [[nodiscard]] bool has(Name name) const noexcept { return find(name) != nullptr; }
  /// Every field, in the order in which they were given or fetched.
  [[nodiscard]] std::span<const NamedValue> fields() const noexcept QUIVER_LIFETIMEBOUND { return fields_; }

  /// Sets a field, whether it was there or not.
  void set(Name name, Value value) {
    const auto at = std::find_if(fields_.begin(), fields_.end(), [&](const NamedValue& field) { return field.name_ == name.view(); });
    if (at != fields_.end()) {
      at->value_ = std::move(value);
    } else {
      fields_.push_back(NamedValue(NamedValue::Taken{}, std::string(name.view()), std::move(value)));
    }
  }
  void set(Name name, std::initializer_list<Value> list) { set(name, detail::list_value(name, list)); }

  /// The value of a field as T, nullopt where it is null. Errc::not_found for a field that was not given or not fetched; Errc::type_mismatch where it is
  /// of another kind, or a number that T cannot hold.
  template <class T>
    requires(!detail::ReadableView<T>)
  [[nodiscard]] std::optional<T> get(Name name) const {
    return read<T>(name);
  }
  /// The same without a copy: the view refers to this document.
  template <detail::ReadableView T>
  [[nodiscard]] std::optional<T> get(Name name) const& QUIVER_LIFETIMEBOUND {
    return read<T>(name);
  }
  template <detail::ReadableView T>
  std::optional<T> get(Name name) const&& = delete;  // the view would outlive the document

  friend bool operator==(const Document&, const Document&) = default;

 private:
  friend struct detail::DocumentAccess;

  [[nodiscard]] const Value* find(std::string_view name) const noexcept {
    for (const auto& field : fields_)
      if (field.name_ == name) return &field.value_;
    return nullptr;
  }
  template <class T>
  [[nodiscard]] std::optional<T> read(std::string_view name) const {
    const Value* value = find(name);
    if (value == nullptr)
      detail::fail(Errc::not_found, "document " + detail::quote(key_) + " holds no field " + detail::quote(name) + "; fetch it, or look at its name");
    if (value->is_null()) return std::nullopt;
    T out{};
    if (!detail::convert(*value, out))
      detail::fail(Errc::type_mismatch, "document " + detail::quote(key_) + ": field " + detail::quote(name) + " is " + detail::describe(*value) +
                                            ", which the type asked for cannot hold");
    return out;
  }
  void refuse_twins() const {
    const auto refuse = [this](const std::string& name) {
      detail::fail(Errc::invalid_argument, "document " + detail::quote(key_) + ": field " + detail::quote(name) + " is given twice; give it once");
    };
    if (fields_.size() > 32) {
      std::vector<const std::string*> names;
      names.reserve(fields_.size());
      for (const auto& field : fields_) names.push_back(&field.name_);
      std::sort(names.begin(), names.end(), [](const auto* a, const auto* b) { return *a < *b; });
      const auto twin = std::adjacent_find(names.begin(), names.end(), [](const auto* a, const auto* b) { return *a == *b; });
      if (twin != names.end()) refuse(**twin);
      return;
    }
    for (std::size_t i = 1; i < fields_.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (fields_[i].name_ == fields_[j].name_) refuse(fields_[i].name_);
  }

  std::string key_;
  DocId id_;
  std::vector<NamedValue> fields_;
};

namespace detail {

/// How the library fills documents without looking names up. REQUIRES: no name twice.
struct DocumentAccess {
  static void set_key(Document& document, std::string_view key) { document.key_.assign(key); }
  static void set_id(Document& document, DocId id) noexcept { document.id_ = id; }
  static void reserve(Document& document, std::size_t fields) { document.fields_.reserve(fields); }
  static void append(Document& document, std::string name, Value value) {
    document.fields_.push_back(NamedValue(NamedValue::Taken{}, std::move(name), std::move(value)));
  }
};

}  // namespace detail
}  // namespace quiver
