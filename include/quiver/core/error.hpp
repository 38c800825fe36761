// The one exception type of quiver and its closed list of codes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace quiver {

/// What went wrong. The list is closed; programs match the code, never the text.
enum class Errc {
  none = 0,  ///< never thrown
  already_exists,
  not_found,
  locked,
  read_only,
  duplicate_key,
  schema_mismatch,
  type_mismatch,
  dimension_mismatch,
  invalid_argument,
  invalid_filter,
  invalid_vector,
  corruption,
  version_mismatch,
  io_error,
  no_space,
  unsupported,
  closed,
  cancelled
};

/// The name of a code as it is spelled in the source, "corruption" for Errc::corruption.
[[nodiscard]] constexpr std::string_view to_string(Errc code) noexcept {
  constexpr std::string_view names[] = {
      "none",          "already_exists",     "not_found",        "locked",         "read_only",      "duplicate_key", "schema_mismatch",
      "type_mismatch", "dimension_mismatch", "invalid_argument", "invalid_filter", "invalid_vector", "corruption",    "version_mismatch",
      "io_error",      "no_space",           "unsupported",      "closed",         "cancelled"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(names) ? names[index] : std::string_view("unknown");
}

/// Every failure of the library. `what()` names the code, the file and offset where they apply, what was found and what to do.
/// Thread rule: a value like any other exception.
class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& text, std::filesystem::path path = {}, std::optional<std::uint64_t> offset = {})
      : std::runtime_error(compose(code, text, path, offset)), code_(code), path_(std::move(path)), offset_(offset) {}

  [[nodiscard]] Errc code() const noexcept { return code_; }
  /// The file or folder concerned; empty where none is.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Byte offset in path(), where one byte or record is at fault.
  [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept { return offset_; }

 private:
  static std::string compose(Errc code, const std::string& text, const std::filesystem::path& path, const std::optional<std::uint64_t>& offset) {
    std::string all(to_string(code));
    all += ": ";
    if (!path.empty()) {
      all += path.string();
      if (offset) all += " at offset " + std::to_string(*offset);
      all += ": ";
    }
    return all + text;
  }

  Errc code_;
  std::filesystem::path path_;
  std::optional<std::uint64_t> offset_;
};

namespace detail {

// Cold factories: one out-of-line throw keeps the checks at the call site small.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail(Errc code, const std::string& text) { throw Error(code, text); }
[[noreturn, gnu::cold, gnu::noinline]] inline void fail(Errc code, const std::filesystem::path& path, const std::string& text) {
  throw Error(code, text, path);
}
[[noreturn, gnu::cold, gnu::noinline]] inline void fail(Errc code, const std::filesystem::path& path, std::uint64_t offset, const std::string& text) {
  throw Error(code, text, path, offset);
}

}  // namespace detail
}  // namespace quiver
