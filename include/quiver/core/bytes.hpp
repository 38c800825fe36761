// Little-endian fields in bytes, and the bounds-checked cursor that every parser reads through.
#pragma once

#include <quiver/core/error.hpp>
#include <quiver/core/types.hpp>

#include <concepts>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <type_traits>

namespace quiver::detail {

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// Reads one little-endian field. REQUIRES: sizeof(T) readable bytes at `from`, any alignment.
template <Scalar T>
[[nodiscard]] T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <Scalar T>
void store(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

template <Scalar T>
void append(Bytes& to, T value) {
  const auto at = to.size();
  to.resize(at + sizeof value);
  std::memcpy(to.data() + at, &value, sizeof value);
}

inline void append(Bytes& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// In the time it takes to read them: each byte equals the one behind it.
[[nodiscard]] inline bool all_zero(ByteSpan bytes) noexcept {
  return bytes.empty() || (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

[[nodiscard]] inline ByteSpan as_bytes(std::string_view text) noexcept { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }
[[nodiscard]] inline std::string_view as_text(ByteSpan bytes) noexcept { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

template <Scalar T>
[[nodiscard]] ByteSpan as_bytes(std::span<const T> values) noexcept {
  return std::as_bytes(values);
}

/// `value` rounded up to a multiple of `step`, a power of two. REQUIRES: no overflow.
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t step) noexcept { return (value + step - 1) & ~(step - 1); }

/// True if [offset, offset + length) lies within [0, size); never overflows.
[[nodiscard]] constexpr bool within(std::uint64_t offset, std::uint64_t length, std::uint64_t size) noexcept {
  return offset <= size && length <= size - offset;
}

/// Reads fields of untrusted bytes one after another; a read past the end is Errc::corruption with path and offset.
/// `base` is the offset of `bytes` in its file, for messages. Does not own the bytes. One thread.
class Cursor {
 public:
  Cursor(ByteSpan bytes, const std::filesystem::path& path, std::uint64_t base = 0) : bytes_(bytes), path_(&path), base_(base) {}

  [[nodiscard]] std::uint64_t position() const noexcept { return base_ + at_; }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - at_; }

  [[nodiscard]] ByteSpan take(std::uint64_t length) {
    if (length > left()) broken("needs " + std::to_string(length) + " bytes, " + std::to_string(left()) + " are left");
    const auto part = bytes_.subspan(at_, static_cast<std::size_t>(length));
    at_ += static_cast<std::size_t>(length);
    return part;
  }
  template <Scalar T>
  [[nodiscard]] T take() {
    return load<T>(take(sizeof(T)).data());
  }
  /// Errc::corruption naming the current offset.
  [[noreturn]] void broken(const std::string& text) const { fail(Errc::corruption, *path_, position(), text); }
  void expect_end() const {
    if (left() != 0) broken(std::to_string(left()) + " unexpected bytes at the end");
  }

 private:
  ByteSpan bytes_;
  const std::filesystem::path* path_;
  std::uint64_t base_;
  std::size_t at_ = 0;
};

}  // namespace quiver::detail
