// Growing arrays whose elements never move: the columns of the memtable, read while they grow.
#pragma once

#include <quiver/core/types.hpp>
#include <quiver/storage/huge_pages.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::detail {

/// Rows of `stride` elements each, in pieces that double in size: piece p holds base << p rows, contiguous, and is never moved.
/// One writer appends; any thread may read rows whose publication it has seen (the count is published elsewhere).
template <class T>
class StableRows {
 public:
  explicit StableRows(std::size_t stride = 1) : stride_(stride), base_log2_(base_for(stride)) {}

  /// Space for row `index`, the next one. REQUIRES: rows are appended in order.
  [[nodiscard]] T* grow(std::uint64_t index) {
    const auto [piece, at] = place(index);
    if (!pieces_[piece]) {
      pieces_[piece] = std::make_unique_for_overwrite<T[]>(piece_rows(piece) * stride_);
      advise_huge_pages(pieces_[piece].get(), piece_rows(piece) * stride_ * sizeof(T));
    }
    return pieces_[piece].get() + at * stride_;
  }
  void append(std::uint64_t index, const T& value) { *grow(index) = value; }

  [[nodiscard]] const T* row(std::uint64_t index) const noexcept {
    const auto [piece, at] = place(index);
    return pieces_[piece].get() + at * stride_;
  }
  [[nodiscard]] const T& operator[](std::uint64_t index) const noexcept { return *row(index); }

  /// Calls visit(first row, pointer, rows) for each contiguous stretch of rows [0, rows).
  template <class Visit>
  void for_each_piece(std::uint64_t rows, Visit&& visit) const {
    std::uint64_t first = 0;
    for (std::size_t piece = 0; first < rows; ++piece) {
      const auto here = std::min<std::uint64_t>(piece_rows(piece), rows - first);
      visit(first, static_cast<const T*>(pieces_[piece].get()), static_cast<std::size_t>(here));
      first += here;
    }
  }

 private:
  static unsigned base_for(std::size_t stride) noexcept {
    const std::size_t rows = std::max<std::size_t>(1, 32768 / (stride * sizeof(T)));
    return static_cast<unsigned>(std::bit_width(rows) - 1);
  }
  [[nodiscard]] std::size_t piece_rows(std::size_t piece) const noexcept { return std::size_t{1} << (base_log2_ + piece); }
  [[nodiscard]] std::pair<std::size_t, std::size_t> place(std::uint64_t index) const noexcept {
    const std::uint64_t shifted = (index >> base_log2_) + 1;
    const auto piece = static_cast<std::size_t>(std::bit_width(shifted) - 1);
    const std::uint64_t first = ((std::uint64_t{1} << piece) - 1) << base_log2_;
    return {piece, static_cast<std::size_t>(index - first)};
  }

  std::size_t stride_;
  unsigned base_log2_;
  std::array<std::unique_ptr<T[]>, 40> pieces_{};
};

/// Text and small arrays of the memtable, at stable addresses until the arena dies. One writer.
class Arena {
 public:
  /// A copy of `text` with a non-null address, also when it is empty.
  [[nodiscard]] std::string_view keep(std::string_view text) {
    char* to = reserve(text.size());
    std::copy(text.begin(), text.end(), to);
    return {to, text.size()};
  }
  /// Copies of all texts as one stable array, its address non-null also when it is empty.
  [[nodiscard]] std::span<const std::string_view> keep(const Strings& texts) {
    auto views = std::make_unique_for_overwrite<std::string_view[]>(texts.size() + 1);
    for (std::size_t i = 0; i < texts.size(); ++i) views[i] = keep(std::string_view(texts[i]));
    lists_.push_back(std::move(views));
    return {lists_.back().get(), texts.size()};
  }

 private:
  char* reserve(std::size_t bytes) {
    if (bytes > left_ || blocks_.empty()) {
      const std::size_t size = std::max(next_block_, bytes + 1);
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
      at_ = blocks_.back().get();
      left_ = size;
      next_block_ = std::min<std::size_t>(next_block_ * 2, std::size_t{1} << 20);
    }
    char* const out = at_;
    at_ += bytes;
    left_ -= bytes;
    return out;
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::unique_ptr<std::string_view[]>> lists_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
  std::size_t next_block_ = 4096;
};

}  // namespace quiver::detail
