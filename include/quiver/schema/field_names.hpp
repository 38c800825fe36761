// Which fields a request asks for.
#pragma once

#include <quiver/schema/name.hpp>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace quiver {

/// A list of field names that owns its texts. Empty means "as usual": every field for fetch and scan, every field but vectors for
/// search. none() means no field at all. A value; one thread at a time.
class FieldNames {
 public:
  FieldNames() = default;
  FieldNames(std::initializer_list<Name> names) {
    names_.reserve(names.size());
    for (const auto& name : names) names_.emplace_back(name.view());
  }
  template <StringsLike R>
  FieldNames(const R& names) {
    for (const auto& name : names) names_.emplace_back(detail::text_of(name));
  }

  /// Key and doc id only (and the distance of a hit).
  [[nodiscard]] static FieldNames none() {
    FieldNames names;
    names.none_ = true;
    return names;
  }

  /// True if nothing was asked for in particular; false for none().
  [[nodiscard]] bool empty() const noexcept { return names_.empty() && !none_; }
  [[nodiscard]] bool is_none() const noexcept { return none_; }
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] std::span<const std::string> names() const noexcept QUIVER_LIFETIMEBOUND { return names_; }
  [[nodiscard]] auto begin() const noexcept QUIVER_LIFETIMEBOUND { return names_.begin(); }
  [[nodiscard]] auto end() const noexcept QUIVER_LIFETIMEBOUND { return names_.end(); }
  /// True if the name was given; false for every name where the list is empty.
  [[nodiscard]] bool contains(std::string_view name) const noexcept { return std::find(names_.begin(), names_.end(), name) != names_.end(); }

  friend bool operator==(const FieldNames&, const FieldNames&) = default;

 private:
  Strings names_;
  bool none_ = false;
};

}  // namespace quiver
