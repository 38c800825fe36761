// One flushed segment, opened by itself for reading.
#pragma once

#include <quiver/segment/rows.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace quiver {

/// A column as it is stored: name, type, nullable.
using PhysicalColumn = detail::PhysicalColumn;

/// What a collection tells of one of its segments.
struct SegmentInfo {
  SegmentId id = {};
  std::uint64_t rows = 0;
  std::uint64_t deleted = 0;
  std::uint64_t bytes = 0;  ///< of its block files
  bool sealed = false;      ///< nothing will be added to it
};

/// A stretch of rows that is stored together: an Arrow record batch.
struct RowGroup {
  RowId first = {};
  std::uint64_t rows = 0;
  DocId first_doc_id = {};
  DocId last_doc_id = {};
};

/// A sealed or writing segment as one manifest shows it, read-only: `Segment<MMapPolicy>::open("movies.qvr", id)`.
/// Immutable; any number of threads may use it. It holds its files open and does not notice later flushes.
template <StoragePolicy P>
class Segment {
 public:
  /// Opens segment `id` of the newest version of the collection at `path`. not_found: no collection or no such segment; else as Collection::open.
  /// Include <quiver/quiver.hpp>: reading the manifest is the collection's part.
  [[nodiscard]] static Segment open(const std::filesystem::path& path, SegmentId id, const typename P::Options& options = {});

  /// For those who have read a manifest: the segment's rows.
  Segment(std::shared_ptr<const typename P::Store> store, std::shared_ptr<const Schema> schema, SegmentId id, detail::Rows<P> rows)
      : store_(std::move(store)), schema_(std::move(schema)), id_(id), rows_(std::move(rows)) {}

  [[nodiscard]] SegmentId id() const noexcept { return id_; }
  /// Rows that are stored, those of deleted documents among them.
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_.size(); }
  [[nodiscard]] const Schema& schema() const noexcept { return *schema_; }
  /// The columns as they are stored: `_key` and `_doc_id`, then the schema's fields.
  [[nodiscard]] std::vector<PhysicalColumn> physical_schema() const {
    return rows_.parts().empty() ? std::vector<PhysicalColumn>{} : rows_.parts().front()->scalars().physical_schema();
  }
  [[nodiscard]] std::vector<RowGroup> row_groups() const {
    std::vector<RowGroup> out;
    std::uint64_t start = 0;
    for (const auto& part : rows_.parts()) {
      for (const auto& group : part->scalars().groups()) out.push_back({RowId{start + group.first_row}, group.rows, group.first_doc_id, group.last_doc_id});
      start += part->rows();
    }
    return out;
  }
  /// The document at a row; empty `fields`: every field. nullopt past the last row, and where the document was deleted.
  [[nodiscard]] std::optional<Document> fetch(RowId row, const FieldNames& fields = {}) const {
    const detail::Projection wanted(*schema_, fields, true);
    if (row.value >= rows()) return std::nullopt;
    auto scope = store_->read_scope();
    if (!rows_.is_live(scope, row.value)) return std::nullopt;
    return rows_.read(scope, *schema_, wanted, row.value);
  }
  /// Exact search of this segment's documents alone; errors as Collection::search.
  [[nodiscard]] SearchResult search(const SearchRequest& request) const {
    auto scope = store_->read_scope();
    return rows_.search(*store_, scope, *schema_, request);
  }

 private:
  std::shared_ptr<const typename P::Store> store_;
  std::shared_ptr<const Schema> schema_;
  SegmentId id_;
  detail::Rows<P> rows_;
};

}  // namespace quiver
