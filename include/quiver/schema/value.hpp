// One value of a document, before it meets the type of its field.
#pragma once

#include <quiver/core/variant.hpp>
#include <quiver/schema/half.hpp>
#include <quiver/schema/name.hpp>
#include <quiver/schema/types.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace quiver::detail {

/// What a Value can be made from.
template <class T>
concept ValueSource =
    Integer<T> || std::floating_point<T> || std::same_as<T, bool> || TextLike<T> || Null<T> || StringsLike<T> || BytesLike<T> || VectorLike<T>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// What a Value takes over without a copy.
template <class T>
concept MovableValue = std::same_as<T, std::string> || std::same_as<T, Strings> || std::same_as<T, Bytes> || std::same_as<T, std::vector<float>>;

}  // namespace quiver::detail

namespace quiver {

/// A null, a bool, a number, a text, a list of texts, bytes or a vector; owns its data. Numbers are kept as they were given: signed as
/// int64, unsigned as uint64, float as float, double as double; vector elements as float. Anything else (char, enum, pointer,
/// vector<double>, vector<int>) does not compile. A value; one thread at a time.
class Value {
 public:
  using Storage = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, float, double, std::string, Strings, Bytes, std::vector<float>>;

  Value() = default;
  Value(const Value& other) : storage_(detail::copy_of(other.storage_)) {}
  Value(Value&&) noexcept = default;
  Value& operator=(const Value& other) {
    storage_ = detail::copy_of(other.storage_);
    return *this;
  }
  Value& operator=(Value&&) noexcept = default;
  ~Value() = default;
  template <detail::ValueSource T>
  Value(const T& value) : storage_(make(value)) {}
  template <detail::MovableValue T>
  Value(T&& value) noexcept : storage_(std::in_place_type<T>, std::move(value)) {}
  /// Null where the optional is empty.
  template <class T>
    requires(std::convertible_to<const T&, Value>)
  Value(const std::optional<T>& value) {
    if (value) *this = Value(*value);
  }
  template <class T>
    requires(!detail::ValueSource<T> && !detail::is_optional<T>)
  Value(const T&) = delete;  // not a value that a field could hold

  [[nodiscard]] bool is_null() const noexcept { return storage_.index() == 0; }
  [[nodiscard]] const Storage& storage() const noexcept { return storage_; }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  template <class T>
  static Storage make(const T& value) {
    if constexpr (std::same_as<T, bool>) {
      return Storage(std::in_place_type<bool>, value);
    } else if constexpr (std::signed_integral<T>) {
      return Storage(std::in_place_type<std::int64_t>, value);
    } else if constexpr (std::unsigned_integral<T>) {
      return Storage(std::in_place_type<std::uint64_t>, value);
    } else if constexpr (std::same_as<T, float>) {
      return Storage(std::in_place_type<float>, value);
    } else if constexpr (std::floating_point<T>) {
      return Storage(std::in_place_type<double>, static_cast<double>(value));
    } else if constexpr (TextLike<T>) {
      return Storage(std::in_place_type<std::string>, detail::text_of(value));
    } else if constexpr (StringsLike<T>) {
      Storage storage(std::in_place_type<Strings>);
      for (const auto& text : value) std::get<Strings>(storage).emplace_back(detail::text_of(text));
      return storage;
    } else if constexpr (BytesLike<T>) {
      return Storage(std::in_place_type<Bytes>, std::ranges::data(value), std::ranges::data(value) + std::ranges::size(value));
    } else if constexpr (VectorLike<T>) {
      return Storage(std::in_place_type<std::vector<float>>, detail::to_floats(value));
    } else {
      return Storage();
    }
  }

  Storage storage_;
};

}  // namespace quiver
