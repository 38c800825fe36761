// A plain bitmap of fixed size: validity of columns, marks of rows.
#pragma once

#include <quiver/core/types.hpp>

#include <bit>
#include <vector>

namespace quiver::detail {

/// Bits 0 .. size-1, all clear at first. Bit i is bit i % 8 of byte i / 8, as in Arrow. One writing thread.
class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(std::size_t size) : size_(size), words_((size + 63) / 64) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // REQUIRES for the three: i < size().
  [[nodiscard]] bool test(std::size_t i) const noexcept { return (words_[i / 64] >> (i % 64)) & 1u; }
  void set(std::size_t i) noexcept { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
  void reset(std::size_t i) noexcept { words_[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }

  void push_back(bool bit) {
    if (size_ % 64 == 0) words_.push_back(0);
    if (bit) words_[size_ / 64] |= std::uint64_t{1} << (size_ % 64);
    ++size_;
  }
  void clear() noexcept {
    size_ = 0;
    words_.clear();
  }
  [[nodiscard]] std::size_t count() const noexcept {
    std::size_t n = 0;
    for (const auto word : words_) n += static_cast<std::size_t>(std::popcount(word));
    return n;
  }
  /// The bits as bytes, (size() + 7) / 8 of them; unused bits are zero.
  [[nodiscard]] ByteSpan bytes() const noexcept { return std::as_bytes(std::span(words_)).first((size_ + 7) / 8); }

 private:
  std::size_t size_ = 0;
  std::vector<std::uint64_t> words_;
};

/// Bit i of a bitmap in raw bytes. REQUIRES: i / 8 < bits.size().
[[nodiscard]] inline bool test_bit(ByteSpan bits, std::uint64_t i) noexcept {
  return (std::to_integer<unsigned>(bits[static_cast<std::size_t>(i / 8)]) >> (i % 8)) & 1u;
}

}  // namespace quiver::detail
