// A VECTOR_INDEX block of type flat: the raw rows of one vector field, and for cosine their inverse norms.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/block/writer.hpp>
#include <quiver/index/flat_batch.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

inline constexpr std::string_view vectors_section = "vectors";              // rows x dimension numbers of the field's kind, dense, 64-byte aligned
inline constexpr std::string_view inverse_norms_section = "inverse_norms";  // rows float32; cosine only, or what is left of it

/// What a vector is made of: how many numbers, and of which kind.
struct VectorShape {
  VectorShape(std::size_t size, Element kind = Element::float32) noexcept : dimension(size), element(kind) {}
  [[nodiscard]] std::size_t bytes() const noexcept { return dimension * element_bytes(element); }

  std::size_t dimension;
  Element element;
};

/// Writes `rows` rows, row_at(row) -> where its numbers stand. The draft is left finished, not published.
template <class Draft, class RowAt>
[[nodiscard]] FileIdentity write_flat_block(Draft& draft, Metric metric, const VectorShape& shape, std::uint64_t rows, RowAt&& row_at,
                                            std::optional<FileId> id = std::nullopt) {
  BlockWriter<Draft> writer(draft, BlockKind::vector_index, id);
  writer.begin_section(vectors_section);
  for (std::uint64_t row = 0; row < rows; ++row) {
    const void* const at = row_at(row);
    writer.append({static_cast<const std::byte*>(at), shape.bytes()});
  }
  writer.end_section();
  if (metric == Metric::cosine) {
    std::vector<float> room;
    writer.begin_section(inverse_norms_section);
    for (std::uint64_t row = 0; row < rows; ++row) {
      const void* const at = row_at(row);
      const float inverse = inverse_norm({FlatRows{at, nullptr, 1, shape.dimension, shape.element}.floats(0, 1, room), shape.dimension});
      writer.append(std::as_bytes(std::span<const float>(&inverse, 1)));
    }
    writer.end_section();
  }
  return writer.finish();
}

/// One open flat block. Opening reads the directory alone. Owns its reader. Any number of threads, each with a scope of its own.
template <class Reader>
class FlatBlock {
 public:
  /// corruption: not the file of `identity`, or its sections do not hold `rows` rows of that shape.
  template <class Scope>
  FlatBlock(Reader reader, Scope& scope, const FileIdentity& identity, Metric metric, const VectorShape& shape, std::uint64_t rows)
      : block_(std::move(reader), scope, identity, BlockKind::vector_index),
        vectors_(block_.section(vectors_section)),
        dimension_(shape.dimension),
        row_bytes_(shape.bytes()),
        rows_(rows),
        element_(shape.element) {
    if (metric == Metric::cosine) norms_ = block_.section(inverse_norms_section);
    expect(vectors_, vectors_section, row_bytes_);
    if (norms_) expect(*norms_, inverse_norms_section, sizeof(float));
  }

  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] const Block<Reader>& block() const noexcept { return block_; }

  [[nodiscard]] Element element() const noexcept { return element_; }
  /// True if the file holds the norms that cosine asks for. Under another metric, which a field may have come to from cosine, nobody reads them.
  [[nodiscard]] bool holds_norms() const noexcept {
    return std::any_of(block_.sections().begin(), block_.sections().end(), [this](const Section& section) {
      return section.name == inverse_norms_section && section.length % sizeof(float) == 0 && section.length / sizeof(float) == rows_;
    });
  }

  /// The vector of a row as it is stored, aligned for its numbers; lives until the scope is renewed. REQUIRES: row < rows().
  template <class Scope>
  [[nodiscard]] ByteSpan row(Scope& scope, std::uint64_t row) const {
    return stored(scope, row, 1);
  }

  /// All rows, where the reader is one stretch of memory.
  [[nodiscard]] std::optional<FlatRows> in_memory() const noexcept {
    if constexpr (requires { block_.reader().data(); }) {
      const auto* const base = block_.reader().data();
      const auto* const norms = norms_ ? reinterpret_cast<const float*>(base + norms_->offset) : nullptr;
      return FlatRows{base + vectors_.offset, norms, static_cast<std::size_t>(rows_), dimension_, element_};
    } else {
      return std::nullopt;
    }
  }
  /// One row; lives until the scope is renewed. REQUIRES: row < rows().
  template <class Scope>
  [[nodiscard]] FlatRows one(Scope& scope, std::uint64_t row) const {
    return {stored(scope, row, 1).data(), norms_ ? floats(scope, *norms_, row, 1) : nullptr, 1, dimension_, element_};
  }

  /// Has rows read that will be viewed one by one, at once where that is faster. REQUIRES: rows < rows().
  template <class Scope>
  void prefetch(Scope& scope, std::span<const std::uint32_t> rows) const {
    std::vector<Range> ranges;
    ranges.reserve(rows.size() * (norms_ ? 2 : 1));
    for (const auto row : rows) {
      ranges.push_back({vectors_.offset + std::uint64_t{row} * row_bytes_, row_bytes_});
      if (norms_) ranges.push_back({norms_->offset + std::uint64_t{row} * sizeof(float), sizeof(float)});
    }
    block_.reader().prefetch(scope, ranges);
  }

  /// One query over all rows, ids first_id + row. Renews the scope.
  template <class Scope>
  void search(Scope& scope, const FlatQuery& query, std::uint64_t first_id, TopK& best) const {
    for_each_slab(scope, [&](std::uint64_t first, const FlatRows& rows) { flat_scan(query, rows, first_id + first, best); });
  }
  /// Many queries in one pass. Renews the scope.
  template <class Scope>
  void search_batch(Scope& scope, std::span<const FlatQuery> queries, std::uint64_t first_id, std::span<TopK> best) const {
    FlatBatch batch(queries);
    for_each_slab(scope, [&](std::uint64_t first, const FlatRows& rows) { batch.scan(rows, first_id + first, best); });
  }

 private:
  void expect(const Range& section, std::string_view name, std::size_t row_bytes) const {
    // Divided, so that no row count of a hostile manifest can overflow.
    if (section.length % row_bytes != 0 || section.length / row_bytes != rows_)
      fail(Errc::corruption, block_.path(), section.offset,
           "section '" + std::string(name) + "' has " + std::to_string(section.length) + " bytes, which are not " + std::to_string(rows_) + " rows of " +
               std::to_string(row_bytes));
  }
  template <class Scope>
  [[nodiscard]] const float* floats(Scope& scope, const Range& section, std::uint64_t first, std::size_t count) const {
    // Sections are 64-byte aligned, and so is memory that readers hand out.
    return reinterpret_cast<const float*>(block_.view(scope, section, first * sizeof(float), count * sizeof(float)).data());
  }
  template <class Scope>
  [[nodiscard]] ByteSpan stored(Scope& scope, std::uint64_t first, std::size_t count) const {
    return block_.view(scope, vectors_, first * row_bytes_, count * row_bytes_);
  }
  /// Calls scan(first row, rows): once with everything where the reader is one stretch of memory, else in pieces of about a megabyte.
  template <class Scope, class Scan>
  void for_each_slab(Scope& scope, Scan&& scan) const {
    if (const auto all = in_memory()) {
      scan(std::uint64_t{0}, *all);
    } else {
      const std::uint64_t slab = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / row_bytes_);
      for (std::uint64_t first = 0; first < rows_; first += slab) {
        scope.renew();
        const auto count = static_cast<std::size_t>(std::min(slab, rows_ - first));
        const auto* const vectors = stored(scope, first, count).data();
        const auto* const norms = norms_ ? floats(scope, *norms_, first, count) : nullptr;
        scan(first, FlatRows{vectors, norms, count, dimension_, element_});
      }
      scope.renew();
    }
  }

  Block<Reader> block_;
  Range vectors_;
  std::optional<Range> norms_;
  std::size_t dimension_, row_bytes_;
  std::uint64_t rows_;
  Element element_;
};

}  // namespace quiver::detail
