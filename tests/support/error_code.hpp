// What a piece of code throws, as a value.
#pragma once

#include <quiver/core/error.hpp>

#include <optional>
#include <ostream>

namespace quiver::test {

/// The quiver::Error that `work` throws; nullopt if it throws nothing.
template <class Work>
[[nodiscard]] std::optional<quiver::Error> error_of(Work&& work) {
  try {
    work();
  } catch (const quiver::Error& error) {
    return error;
  }
  return std::nullopt;
}

/// Its code; Errc::none if `work` throws nothing.
template <class Work>
[[nodiscard]] quiver::Errc code_of(Work&& work) {
  const auto error = error_of(work);
  return error ? error->code() : quiver::Errc::none;
}

}  // namespace quiver::test

namespace quiver {
/// For Boost.Test's messages.
inline std::ostream& boost_test_print_type(std::ostream& out, Errc code) { return out << to_string(code); }
}  // namespace quiver
