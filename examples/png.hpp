// Pictures in memory and a PNG writer of a hundred lines, so that the examples need no imaging library.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace examples {

struct Color {
  std::uint8_t red = 0, green = 0, blue = 0;
};

/// A picture of 8-bit RGB pixels. Drawing outside of it is cut off, not an error.
class Canvas {
 public:
  Canvas(std::size_t width, std::size_t height, Color background) : width_(width), height_(height), pixels_(width * height, background) {}

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t height() const noexcept { return height_; }
  [[nodiscard]] Color at(std::size_t x, std::size_t y) const { return pixels_[y * width_ + x]; }

  void set(std::size_t x, std::size_t y, Color color) {
    if (x < width_ && y < height_) pixels_[y * width_ + x] = color;
  }

  void fill(std::size_t x, std::size_t y, std::size_t width, std::size_t height, Color color) {
    for (std::size_t row = y; row < y + height; ++row)
      for (std::size_t column = x; column < x + width; ++column) set(column, row, color);
  }

 private:
  std::size_t width_, height_;
  std::vector<Color> pixels_;
};

/// The bit stream of one deflate block with the fixed codes of RFC 1951, 3.2.6. Matches are looked for at two distances only, the pixel to the left and
/// the pixel above: enough for pictures with flat areas, and needs no tables.
class Deflater {
 public:
  explicit Deflater(std::size_t row_bytes, std::size_t pixel_bytes) : distances_{row_bytes, pixel_bytes} {}

  std::vector<std::uint8_t> compress(const std::vector<std::uint8_t>& in) {
    out_ = {0x78, 0x01};  // zlib header: deflate, 32 KiB window
    put(0b011, 3);        // the last block, fixed codes
    for (std::size_t at = 0; at < in.size();) {
      std::size_t best_length = 0, best_distance = 0;
      for (const std::size_t distance : distances_) {
        if (distance > at || distance > 32768) continue;
        const std::size_t limit = std::min<std::size_t>(258, in.size() - at);
        std::size_t length = 0;
        while (length < limit && in[at + length] == in[at + length - distance]) ++length;
        if (length > best_length) best_length = length, best_distance = distance;
      }
      if (best_length >= 4) {
        put_match(best_length, best_distance);
        at += best_length;
      } else {
        put_symbol(in[at++]);
      }
    }
    put_symbol(256);
    if (used_ > 0) put(0, 8 - used_);
    std::uint32_t a = 1, b = 0;  // Adler-32
    for (const std::uint8_t byte : in) {
      a = (a + byte) % 65521;
      b = (b + a) % 65521;
    }
    for (const std::uint32_t half : {b, a}) {
      out_.push_back(static_cast<std::uint8_t>(half >> 8));
      out_.push_back(static_cast<std::uint8_t>(half));
    }
    return std::move(out_);
  }

 private:
  void put(std::uint32_t bits, unsigned count) {  // lowest bit first
    for (unsigned i = 0; i < count; ++i) {
      if (used_ == 0) out_.push_back(0);
      out_.back() = static_cast<std::uint8_t>(out_.back() | (((bits >> i) & 1U) << used_));
      used_ = (used_ + 1) % 8;
    }
  }

  void put_code(std::uint32_t code, unsigned count) {  // Huffman codes go highest bit first
    for (unsigned i = count; i-- > 0;) put((code >> i) & 1U, 1);
  }

  void put_symbol(std::uint32_t symbol) {
    if (symbol < 144)
      put_code(0x30 + symbol, 8);
    else if (symbol < 256)
      put_code(0x190 + symbol - 144, 9);
    else if (symbol < 280)
      put_code(symbol - 256, 7);
    else
      put_code(0xC0 + symbol - 280, 8);
  }

  void put_match(std::size_t length, std::size_t distance) {
    static constexpr std::array<std::uint16_t, 29> length_base{3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                                               31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr std::array<std::uint8_t, 29> length_extra{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    const auto index = static_cast<std::size_t>(std::upper_bound(length_base.begin(), length_base.end(), length) - length_base.begin()) - 1;
    put_symbol(static_cast<std::uint32_t>(257 + index));
    put(static_cast<std::uint32_t>(length - length_base[index]), length_extra[index]);
    // Distance codes double every second code: 1, 2, 3, 4, 5, 7, 9, 13, ...
    std::uint32_t code = 0, extra = 0;
    std::size_t base = 1;
    while (distance >= base + (std::size_t{1} << extra)) {
      base += std::size_t{1} << extra;
      ++code;
      extra = code < 2 ? 0 : code / 2 - 1;
    }
    put_code(code, 5);
    put(static_cast<std::uint32_t>(distance - base), extra);
  }

  std::array<std::size_t, 2> distances_;
  std::vector<std::uint8_t> out_;
  unsigned used_ = 0;  // bits of the last byte
};

/// Writes the canvas as a PNG of 8-bit RGB. Throws std::runtime_error where the file cannot be written.
inline void write_png(const std::filesystem::path& path, const Canvas& canvas) {
  std::vector<std::uint8_t> rows;
  rows.reserve(canvas.height() * (canvas.width() * 3 + 1));
  for (std::size_t y = 0; y < canvas.height(); ++y) {
    rows.push_back(0);  // each row begins with its filter: none
    for (std::size_t x = 0; x < canvas.width(); ++x) {
      const Color color = canvas.at(x, y);
      rows.push_back(color.red);
      rows.push_back(color.green);
      rows.push_back(color.blue);
    }
  }

  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const auto big_endian = [](std::vector<std::uint8_t>& to, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  const auto write = [&file](const std::vector<std::uint8_t>& bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  };
  const auto write_chunk = [&](std::string_view type, const std::vector<std::uint8_t>& body) {
    std::vector<std::uint8_t> chunk;
    chunk.reserve(body.size() + 12);
    big_endian(chunk, static_cast<std::uint32_t>(body.size()));
    for (const char letter : type) chunk.push_back(static_cast<std::uint8_t>(letter));
    for (const std::uint8_t byte : body) chunk.push_back(byte);
    std::uint32_t crc = 0xFFFFFFFFU;
    for (std::size_t i = 4; i < chunk.size(); ++i) {
      crc ^= chunk[i];
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
    }
    big_endian(chunk, ~crc);
    write(chunk);
  };

  write({0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'});
  std::vector<std::uint8_t> header;
  big_endian(header, static_cast<std::uint32_t>(canvas.width()));
  big_endian(header, static_cast<std::uint32_t>(canvas.height()));
  for (const int byte : {8, 2, 0, 0, 0})
    header.push_back(static_cast<std::uint8_t>(byte));  // 8 bits, RGB, the only compression and filter method, not interlaced
  write_chunk("IHDR", header);
  write_chunk("IDAT", Deflater(canvas.width() * 3 + 1, 3).compress(rows));
  write_chunk("IEND", {});
  file.flush();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace examples
