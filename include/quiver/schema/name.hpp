// The parameter type for keys and field names.
#pragma once

#include <quiver/schema/types.hpp>

#include <string_view>

namespace quiver {

/// A key or a field name, made from any one text. A view: it is a parameter, not a member, and the text must outlive it.
/// (std::string_view itself would take {"a", "b"} as a pair of iterators.)
class Name {
 public:
  template <TextLike S>
  Name(const S& text QUIVER_LIFETIMEBOUND) : text_(detail::text_of(text)) {}

  [[nodiscard]] std::string_view view() const noexcept { return text_; }
  operator std::string_view() const noexcept { return text_; }

 private:
  std::string_view text_;
};

}  // namespace quiver
