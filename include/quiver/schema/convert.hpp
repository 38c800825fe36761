// Values as C++ types: exact for integers, to the nearest number for floats, never anything else.
#pragma once

#include <quiver/schema/element.hpp>
#include <quiver/schema/utf8.hpp>
#include <quiver/schema/value.hpp>

#include <cmath>
#include <limits>
#include <span>
#include <utility>

namespace quiver::detail {

/// Vectors that a value is read as where each of its numbers is one of theirs.
template <class T>
concept NarrowVector = std::same_as<T, std::vector<Half>> || std::same_as<T, std::vector<std::int8_t>> || std::same_as<T, std::vector<std::uint8_t>>;

/// The types a value can be read as. Views refer to the value.
template <class T>
concept Readable = Integer<T> || std::same_as<T, bool> || std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::string> ||
                   std::same_as<T, std::string_view> || std::same_as<T, Strings> || std::same_as<T, Bytes> || std::same_as<T, ByteSpan> ||
                   std::same_as<T, std::vector<float>> || std::same_as<T, std::span<const float>> || NarrowVector<T>;

template <class T>
concept ReadableView = std::same_as<T, std::string_view> || std::same_as<T, ByteSpan> || std::same_as<T, std::span<const float>>;

template <Integer To, Integer From>
[[nodiscard]] bool convert_number(From from, To& to) noexcept {
  if (!std::in_range<To>(from)) return false;
  to = static_cast<To>(from);
  return true;
}

template <Integer To, std::floating_point From>
[[nodiscard]] bool convert_number(From from, To& to) noexcept {
  // Both bounds are powers of two (or zero), hence exact; NaN fails the comparisons.
  constexpr From end = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
  constexpr From first = static_cast<From>(std::numeric_limits<To>::min());
  if (!(from >= first && from < end) || from != std::trunc(from)) return false;
  to = static_cast<To>(from);
  return true;
}

/// Exact; a negative zero is kept by halves alone.
[[nodiscard]] constexpr bool convert_number(float from, Half& to) noexcept {
  const Half near = float_to_half(from);
  if (half_to_float(near) != from) return false;
  to = near;
  return true;
}

template <std::floating_point To, Integer From>
[[nodiscard]] bool convert_number(From from, To& to) noexcept {
  const To near = static_cast<To>(from);
  From back{};
  if (!convert_number(near, back) || back != from) return false;
  to = near;
  return true;
}

/// A double given for a float becomes the nearest float; one beyond the range of floats does not convert.
template <std::floating_point To, std::floating_point From>
[[nodiscard]] bool convert_number(From from, To& to) noexcept {
  const To near = static_cast<To>(from);
  if (std::isinf(near) && !std::isinf(from)) return false;
  to = near;
  return true;
}

/// Reads a value as T; false, and `out` as it was, where it is null, of another kind or a number that T cannot hold.
template <class T>
[[nodiscard]] bool convert(const Value& value, T& out) {
  static_assert(Readable<T>,
                "quiver: a field is read as bool, an integer, float, double, std::string, quiver::Strings, quiver::Bytes or a std::vector of "
                "float, quiver::Half, std::int8_t or std::uint8_t, or as a view std::string_view, quiver::ByteSpan, std::span<const float>");
  const auto& storage = value.storage();
  if constexpr (std::same_as<T, std::string_view>) {
    const auto* found = std::get_if<std::string>(&storage);
    if (found != nullptr) out = *found;
    return found != nullptr;
  } else if constexpr (std::same_as<T, ByteSpan>) {
    const auto* found = std::get_if<Bytes>(&storage);
    if (found != nullptr) out = *found;
    return found != nullptr;
  } else if constexpr (std::same_as<T, std::span<const float>>) {
    const auto* found = std::get_if<std::vector<float>>(&storage);
    if (found != nullptr) out = *found;
    return found != nullptr;
  } else if constexpr (Integer<T> || std::floating_point<T>) {
    if (const auto* i = std::get_if<std::int64_t>(&storage)) return convert_number(*i, out);
    if (const auto* u = std::get_if<std::uint64_t>(&storage)) return convert_number(*u, out);
    if (const auto* f = std::get_if<float>(&storage)) return convert_number(*f, out);
    if (const auto* d = std::get_if<double>(&storage)) return convert_number(*d, out);
    return false;
  } else if constexpr (NarrowVector<T>) {
    const auto* found = std::get_if<std::vector<float>>(&storage);
    if (found == nullptr) return false;
    T narrow(found->size());
    for (std::size_t i = 0; i < narrow.size(); ++i)
      if (!convert_number((*found)[i], narrow[i])) return false;
    out = std::move(narrow);
    return true;
  } else if constexpr (Readable<T>) {
    const auto* found = std::get_if<T>(&storage);
    if (found != nullptr) out = *found;
    return found != nullptr;
  } else {
    return false;
  }
}

/// What a value is, for messages: "the integer 3", "a vector of 3 elements".
[[nodiscard]] inline std::string describe(const Value& value) {
  const auto& storage = value.storage();
  if (const auto* i = std::get_if<std::int64_t>(&storage)) return "the integer " + std::to_string(*i);
  if (const auto* u = std::get_if<std::uint64_t>(&storage)) return "the integer " + std::to_string(*u);
  if (const auto* f = std::get_if<float>(&storage)) return "the number " + std::to_string(*f);
  if (const auto* d = std::get_if<double>(&storage)) return "the number " + std::to_string(*d);
  if (const auto* s = std::get_if<Strings>(&storage)) return "a list of " + std::to_string(s->size()) + " strings";
  if (const auto* b = std::get_if<Bytes>(&storage)) return std::to_string(b->size()) + " bytes";
  if (const auto* v = std::get_if<std::vector<float>>(&storage)) return "a vector of " + std::to_string(v->size()) + " elements";
  if (std::holds_alternative<std::string>(storage)) return "a string";
  return value.is_null() ? "null" : "a bool";
}

}  // namespace quiver::detail
