// Bytes as text: hexadecimal digits and base64 (RFC 4648, with padding), each in one spelling only.
#pragma once

#include <quiver/core/bytes.hpp>

#include <concepts>
#include <string>
#include <string_view>

namespace quiver::detail {

inline constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends two lower-case digits per byte, the highest first.
template <std::unsigned_integral T>
void append_hex(std::string& to, T value) {
  for (std::size_t i = sizeof(T) * 2; i-- > 0;) to += "0123456789abcdef"[(value >> (4 * i)) & 15];
}

/// Reads what append_hex wrote; false, and `out` as it was, for any other text.
template <std::unsigned_integral T>
[[nodiscard]] bool parse_hex(std::string_view text, T& out) noexcept {
  if (text.size() != sizeof(T) * 2) return false;
  T value = 0;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    value = static_cast<T>(value << 4 | static_cast<T>(digit));
  }
  out = value;
  return true;
}

inline void append_base64(std::string& to, ByteSpan bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto left = bytes.size() - at;
    const auto byte = [&](std::size_t i) { return i < left ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0u; };
    const auto bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t i = 0; i < 4; ++i) to += i <= left ? base64_alphabet[bits >> (18 - 6 * i) & 63] : '=';
  }
}

/// Replaces `out`; false for anything that append_base64 would not have written: another length or character, padding that is missing or not at the end, bits
/// behind the last byte.
[[nodiscard]] inline bool parse_base64(std::string_view text, Bytes& out) {
  out.clear();
  if (text.size() % 4 != 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::uint32_t six = 0;
    if (c >= 'A' && c <= 'Z') {
      six = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      six = static_cast<std::uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      six = static_cast<std::uint32_t>(c - '0' + 52);
    } else if (c == '+') {
      six = 62;
    } else if (c == '/') {
      six = 63;
    } else if (i < text.size() - padding) {
      return false;
    }
    bits = bits << 6 | six;
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) out.push_back(static_cast<std::byte>(bits >> shift));
    bits = 0;
  }
  for (; padding != 0; --padding) {
    if (out.back() != std::byte{0}) return false;
    out.pop_back();
  }
  return true;
}

}  // namespace quiver::detail
