// The types a field can have, and what a C++ type must be like to be taken as a text, a list, bytes or a vector.
#pragma once

#include <quiver/core/error.hpp>
#include <quiver/core/types.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <ranges>
#include <string_view>
#include <type_traits>

// Where clang can warn about a view of a temporary that is kept, it is told to.
#if defined(__clang__)
#define QUIVER_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define QUIVER_LIFETIMEBOUND
#endif

namespace quiver {

/// The type of a scalar field. The numbers are those of the manifest.
enum class FieldType : std::uint8_t { boolean = 0, int32, int64, uint32, uint64, float32, float64, string, strings, bytes };

/// The name of a type as it is spelled in the source, "int32" for FieldType::int32.
[[nodiscard]] constexpr std::string_view to_string(FieldType type) noexcept {
  constexpr std::string_view names[] = {"boolean", "int32", "int64", "uint32", "uint64", "float32", "float64", "string", "strings", "bytes"};
  const auto index = static_cast<std::size_t>(type);
  return index < std::size(names) ? names[index] : std::string_view("unknown");
}

[[nodiscard]] constexpr std::string_view to_string(Metric metric) noexcept {
  constexpr std::string_view names[] = {"l2", "inner_product", "cosine"};
  const auto index = static_cast<std::size_t>(metric);
  return index < std::size(names) ? names[index] : std::string_view("unknown");
}

[[nodiscard]] constexpr std::string_view to_string(Element element) noexcept {
  constexpr std::string_view names[] = {"float32", "float16", "int8", "uint8"};
  const auto index = static_cast<std::size_t>(element);
  return index < std::size(names) ? names[index] : std::string_view("unknown");
}

/// A string, string_view, literal or const char*.
template <class S>
concept TextLike = std::convertible_to<const S&, std::string_view> && !std::same_as<std::remove_cvref_t<S>, std::nullptr_t>;

/// A range of texts: vector<string>, array<string_view, 2>, const char*[3].
template <class R>
concept StringsLike = !TextLike<R> && std::ranges::input_range<const R> && TextLike<std::remove_cvref_t<std::ranges::range_reference_t<const R>>>;

/// Contiguous std::byte.
template <class R>
concept BytesLike =
    !TextLike<R> && std::ranges::contiguous_range<const R> && std::ranges::sized_range<const R> && std::same_as<std::ranges::range_value_t<const R>, std::byte>;

/// The numbers a vector may be given as; all convert to float exactly.
template <class T>
concept VectorElement = std::same_as<T, float> || std::same_as<T, Half> || std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>;

/// Contiguous vector elements: vector, span, array, C array.
template <class R>
concept VectorLike =
    !TextLike<R> && std::ranges::contiguous_range<const R> && std::ranges::sized_range<const R> && VectorElement<std::ranges::range_value_t<const R>>;

}  // namespace quiver

namespace quiver::detail {

template <class T>
concept CharacterType = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> || std::same_as<T, char16_t> || std::same_as<T, char32_t>;

/// A number without a fraction: neither bool nor a character.
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !CharacterType<T>;

template <class T>
concept Null = std::same_as<T, std::nullptr_t> || std::same_as<T, std::nullopt_t>;

/// The characters of a text. A char array ends at its first zero or at its end; a null pointer is Errc::invalid_argument.
template <TextLike S>
[[nodiscard]] std::string_view text_of(const S& text QUIVER_LIFETIMEBOUND) {
  if constexpr (std::is_array_v<S>) {
    const auto* end = static_cast<const char*>(std::memchr(text, 0, std::extent_v<S>));
    return {text, end == nullptr ? std::extent_v<S> : static_cast<std::size_t>(end - text)};
  } else {
    if constexpr (std::is_pointer_v<S>) {
      if (text == nullptr) fail(Errc::invalid_argument, "a text is a null pointer; give a string, or nullptr itself for a null value");
    }
    return text;
  }
}

}  // namespace quiver::detail
