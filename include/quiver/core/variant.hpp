// Copying a std::variant whose alternatives may throw.
#pragma once

#include <utility>
#include <variant>

namespace quiver::detail {

/// A copy; what an alternative's copy throws leaves nothing behind. The copy constructor of libstdc++ 12 reads an index that was never set when it has to clean
/// up after such an exception, so types that hold a variant copy it with this.
template <class... Ts>
[[nodiscard]] std::variant<Ts...> copy_of(const std::variant<Ts...>& from) {
  return std::visit([]<class T>(const T& value) { return std::variant<Ts...>(std::in_place_type<T>, value); }, from);
}

}  // namespace quiver::detail
