// A bitmap font, 5 pixels wide and 9 high with two rows for descenders, and text drawn with it.
#pragma once

#include "png.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace examples {

constexpr std::size_t glyph_width = 5, glyph_height = 9, glyph_advance = 6;

/// The nine rows of a character from top to bottom, two hexadecimal digits each; bit 4 is the leftmost pixel. What has no glyph is drawn as a box.
[[nodiscard]] constexpr std::string_view glyph(char character) {
  // clang-format off
  switch (character) {
    case ' ': return "000000000000000000";
    case 'A': return "0E11111F1111110000";
    case 'B': return "1E11111E11111E0000";
    case 'C': return "0E11101010110E0000";
    case 'D': return "1E11111111111E0000";
    case 'E': return "1F10101E10101F0000";
    case 'F': return "1F10101E1010100000";
    case 'G': return "0E11101711110F0000";
    case 'H': return "1111111F1111110000";
    case 'I': return "0E04040404040E0000";
    case 'J': return "0702020202120C0000";
    case 'K': return "111214181412110000";
    case 'L': return "1010101010101F0000";
    case 'M': return "111B15151111110000";
    case 'N': return "111119151311110000";
    case 'O': return "0E11111111110E0000";
    case 'P': return "1E11111E1010100000";
    case 'Q': return "0E11111115120D0000";
    case 'R': return "1E11111E1412110000";
    case 'S': return "0F10100E01011E0000";
    case 'T': return "1F0404040404040000";
    case 'U': return "1111111111110E0000";
    case 'V': return "11111111110A040000";
    case 'W': return "1111111515150A0000";
    case 'X': return "11110A040A11110000";
    case 'Y': return "11110A040404040000";
    case 'Z': return "1F01020408101F0000";
    case 'a': return "00000E010F110F0000";
    case 'b': return "10101E1111111E0000";
    case 'c': return "00000E1110110E0000";
    case 'd': return "01010F1111110F0000";
    case 'e': return "00000E111F100E0000";
    case 'f': return "0609081C0808080000";
    case 'g': return "00000F1111110F010E";
    case 'h': return "10101E111111110000";
    case 'i': return "04000C0404040E0000";
    case 'j': return "02000602020202120C";
    case 'k': return "101012141814120000";
    case 'l': return "0C04040404040E0000";
    case 'm': return "00001A151515150000";
    case 'n': return "00001E111111110000";
    case 'o': return "00000E1111110E0000";
    case 'p': return "00001E1111111E1010";
    case 'q': return "00000F1111110F0101";
    case 'r': return "000016191010100000";
    case 's': return "00000F100E011E0000";
    case 't': return "08081C080809060000";
    case 'u': return "0000111111110F0000";
    case 'v': return "00001111110A040000";
    case 'w': return "0000111115150A0000";
    case 'x': return "0000110A040A110000";
    case 'y': return "00001111110F010E00";
    case 'z': return "00001F0204081F0000";
    case '0': return "0E11131519110E0000";
    case '1': return "040C040404040E0000";
    case '2': return "0E11010204081F0000";
    case '3': return "1F02040201110E0000";
    case '4': return "02060A121F02020000";
    case '5': return "1F101E0101110E0000";
    case '6': return "0608101E11110E0000";
    case '7': return "1F0102040808080000";
    case '8': return "0E11110E11110E0000";
    case '9': return "0E11110F01020C0000";
    case '.': return "00000000000C0C0000";
    case ',': return "00000000000C0C0408";
    case ':': return "000C0C000C0C000000";
    case ';': return "000C0C000C0C040800";
    case '/': return "010102040810100000";
    case '-': return "0000001F0000000000";
    case '+': return "0004041F0404000000";
    case '=': return "00001F001F00000000";
    case '(': return "020408080804020000";
    case ')': return "080402020204080000";
    case '%': return "181902040813030000";
    case '@': return "0E11151717100E0000";
    case '\'': return "0C0408000000000000";
    case '!': return "040404040400040000";
    case '?': return "0E1101020400040000";
    default: return "1F11111111111F0000";
  }
  // clang-format on
}

[[nodiscard]] constexpr std::size_t text_width(std::string_view text, std::size_t scale) {
  return text.empty() ? 0 : (text.size() * glyph_advance - 1) * scale;
}

/// Draws one line of text with its upper left corner at (x, y).
inline void draw_text(Canvas& canvas, std::size_t x, std::size_t y, std::string_view text, Color color, std::size_t scale = 2) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'A' + 10); };
  for (const char character : text) {
    const std::string_view rows = glyph(character);
    for (std::size_t row = 0; row < glyph_height; ++row) {
      const unsigned bits = digit(rows[2 * row]) * 16 + digit(rows[2 * row + 1]);
      for (std::size_t column = 0; column < glyph_width; ++column)
        if ((bits >> (glyph_width - 1 - column)) & 1U) canvas.fill(x + column * scale, y + row * scale, scale, scale, color);
    }
    x += glyph_advance * scale;
  }
}

}  // namespace examples
