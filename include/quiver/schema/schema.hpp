// The schema: which fields the documents of a collection have.
#pragma once

#include <quiver/schema/field.hpp>
#include <quiver/schema/utf8.hpp>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace quiver {

/// Scalar fields and vector fields, each in the order given. Whoever holds a Schema holds a valid one: the constructors refuse bad names
/// (1 to 255 bytes of UTF-8 without control characters; not "_key", not "_doc_id"), a name used twice, dimensions outside 1 to 65,536, numbers of an index
/// outside of what it says and more than 65,535 fields with Errc::invalid_argument. A value; safe to read from many threads.
class Schema {
 public:
  static constexpr std::size_t max_fields = 65'535;
  static constexpr std::size_t max_name_bytes = 255;
  static constexpr std::size_t max_dimension = 65'536;
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  Schema() = default;
  Schema(std::initializer_list<AnyField> fields) {
    for (const auto& any : fields) {
      if (const auto* scalar = std::get_if<Field>(&any.field())) fields_.push_back(*scalar);
      if (const auto* vector = std::get_if<VectorField>(&any.field())) vectors_.push_back(*vector);
    }
    check();
  }
  explicit Schema(std::vector<Field> fields, std::vector<VectorField> vectors) : fields_(std::move(fields)), vectors_(std::move(vectors)) { check(); }

  [[nodiscard]] const std::vector<Field>& fields() const noexcept QUIVER_LIFETIMEBOUND { return fields_; }
  [[nodiscard]] const std::vector<VectorField>& vectors() const noexcept QUIVER_LIFETIMEBOUND { return vectors_; }

  /// The scalar field of that name; nullptr where there is none.
  [[nodiscard]] const Field* find(std::string_view name) const noexcept QUIVER_LIFETIMEBOUND {
    const auto at = position(name);
    return at < fields_.size() ? &fields_[at] : nullptr;
  }
  [[nodiscard]] const VectorField* find_vector(std::string_view name) const noexcept QUIVER_LIFETIMEBOUND {
    const auto at = position(name);
    return at == npos || at < fields_.size() ? nullptr : &vectors_[at - fields_.size()];
  }
  /// The place of a name among fields() followed by vectors(); npos where there is no such field. O(log fields).
  [[nodiscard]] std::size_t position(std::string_view name) const noexcept {
    const auto at =
        std::lower_bound(by_name_.begin(), by_name_.end(), name, [this](std::uint32_t place, std::string_view wanted) { return name_at(place) < wanted; });
    return at != by_name_.end() && name_at(*at) == name ? *at : npos;
  }
  /// REQUIRES: place < fields().size() + vectors().size().
  [[nodiscard]] std::string_view name_at(std::size_t place) const noexcept QUIVER_LIFETIMEBOUND {
    return place < fields_.size() ? fields_[place].name() : vectors_[place - fields_.size()].name();
  }

  friend bool operator==(const Schema& a, const Schema& b) noexcept { return a.fields_ == b.fields_ && a.vectors_ == b.vectors_; }

 private:
  void check() {
    const auto total = fields_.size() + vectors_.size();
    if (total > max_fields) refuse("a schema has at most " + std::to_string(max_fields) + " fields, this one has " + std::to_string(total));
    by_name_.resize(total);
    for (std::size_t place = 0; place < total; ++place) {
      check_name(name_at(place));
      by_name_[place] = static_cast<std::uint32_t>(place);
    }
    for (const auto& field : fields_)
      if (field.type() > FieldType::bytes)
        refuse("field " + detail::quote(field.name()) + " has the unknown type " + std::to_string(static_cast<unsigned>(field.type())));
    for (const auto& vector : vectors_) {
      if (vector.dimension() < 1 || vector.dimension() > max_dimension)
        refuse("vector field " + detail::quote(vector.name()) + " has dimension " + std::to_string(vector.dimension()) + "; give 1 to " +
               std::to_string(max_dimension));
      if (vector.metric() > Metric::cosine)
        refuse("vector field " + detail::quote(vector.name()) + " has the unknown metric " + std::to_string(static_cast<unsigned>(vector.metric())));
      if (vector.element() > Element::uint8)
        refuse("vector field " + detail::quote(vector.name()) + " has the unknown element " + std::to_string(static_cast<unsigned>(vector.element())));
      if (const auto* hnsw = std::get_if<Hnsw>(&vector.index()))
        check_index(vector.name(), *hnsw);
      else if (!std::holds_alternative<NoQuantizer>(vector.quantizer()))
        refuse("vector field " + detail::quote(vector.name()) + " has a quantizer and no index that searches along codes; give it .index(Hnsw{}) too");
    }
    std::sort(by_name_.begin(), by_name_.end(), [this](std::uint32_t a, std::uint32_t b) { return name_at(a) < name_at(b); });
    const auto twin = std::adjacent_find(by_name_.begin(), by_name_.end(), [this](std::uint32_t a, std::uint32_t b) { return name_at(a) == name_at(b); });
    if (twin != by_name_.end()) refuse("field " + detail::quote(name_at(*twin)) + " is there twice; names are unique among scalar and vector fields together");
  }
  static void check_name(std::string_view name) {
    const auto bad = [name](const std::string& why) { refuse("the field name " + detail::quote(name) + " " + why); };
    if (name.empty()) bad("is empty; give 1 to " + std::to_string(max_name_bytes) + " bytes");
    if (name.size() > max_name_bytes) bad("has " + std::to_string(name.size()) + " bytes; give 1 to " + std::to_string(max_name_bytes));
    if (!detail::valid_utf8(name)) bad("is not UTF-8");
    if (detail::has_control_character(name)) bad("holds a control character");
    if (name == "_key" || name == "_doc_id") bad("is reserved");
  }
  static void check_index(const std::string& field, const Hnsw& index) {
    const auto within = [&](const char* what, std::size_t value, std::size_t least, std::size_t most) {
      if (value < least || value > most)
        refuse("the index of vector field " + detail::quote(field) + " has " + what + " = " + std::to_string(value) + "; give " + std::to_string(least) +
               " to " + std::to_string(most));
    };
    within("m", index.m, 2, Hnsw::max_m);
    within("ef_construction", index.ef_construction, 1, Hnsw::max_ef_construction);
    within("ef", index.ef, 1, Hnsw::max_ef);
  }
  [[noreturn]] static void refuse(const std::string& why) { detail::fail(Errc::invalid_argument, why); }

  std::vector<Field> fields_;
  std::vector<VectorField> vectors_;
  std::vector<std::uint32_t> by_name_;  // places, sorted by name
};

}  // namespace quiver
