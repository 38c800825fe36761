// Strict UTF-8, and texts made fit for messages.
#pragma once

#include <quiver/core/bytes.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace quiver::detail {

/// The length of the well-formed character at `at`, 0 where there is none: over-long forms, surrogates, values above U+10FFFF
/// and cut characters are refused. REQUIRES: at < text.size(). Source: Unicode 15, table 3-7.
[[nodiscard]] constexpr std::size_t utf8_character(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> unsigned { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const auto in = [](unsigned value, unsigned low, unsigned high) { return value >= low && value <= high; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (in(lead, 0xC2, 0xDF)) return in(byte(1), 0x80, 0xBF) ? 2 : 0;
  if (in(lead, 0xE0, 0xEF)) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return in(byte(1), low, high) && in(byte(2), 0x80, 0xBF) ? 3 : 0;
  }
  if (in(lead, 0xF0, 0xF4)) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return in(byte(1), low, high) && in(byte(2), 0x80, 0xBF) && in(byte(3), 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

[[nodiscard]] inline bool valid_utf8(std::string_view text) noexcept {
  constexpr std::uint64_t high_bits = 0x8080808080808080u;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= 8 && (load<std::uint64_t>(as_bytes(text).data() + at) & high_bits) == 0) {
      at += 8;
      continue;
    }
    const auto length = utf8_character(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

/// True if the text holds a character of U+0000..001F or U+007F..009F. REQUIRES: valid UTF-8.
[[nodiscard]] constexpr bool has_control_character(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

/// A name or key for a message: in double quotes, at most about 64 bytes of it, what cannot be printed as \xNN.
[[nodiscard]] inline std::string quote(std::string_view text) {
  constexpr std::size_t longest = 64;
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  std::size_t at = 0;
  while (at < text.size() && at < longest) {
    const auto length = utf8_character(text, at);
    const auto part = text.substr(at, length == 0 ? 1 : length);
    if (length == 0 || has_control_character(part)) {
      for (const char c : part) {
        const auto byte = static_cast<unsigned char>(c);
        out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      }
    } else {
      out += part;
    }
    at += part.size();
  }
  out += '"';
  if (at < text.size()) out += "... (" + std::to_string(text.size()) + " bytes)";
  return out;
}

}  // namespace quiver::detail
