// The state of one moment, to read from as long as it is held.
#pragma once

#include <quiver/collection/scan.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace quiver {

/// What a collection held when snapshot() was called. Cheap to copy; any number of threads may use it, also after the collection was closed.
/// It keeps its files open and its unflushed rows in memory until the last copy is gone.
template <StoragePolicy P>
class Snapshot {
 public:
  explicit Snapshot(std::shared_ptr<const detail::View<P>> view) : view_(std::move(view)) {}

  /// The number of the version beneath, as versions() lists it; rows that were not flushed then show besides.
  [[nodiscard]] std::uint64_t version() const noexcept { return detail::listed_number(view_->version().manifest); }
  [[nodiscard]] const Schema& schema() const noexcept { return view_->schema(); }
  [[nodiscard]] std::size_t count() const noexcept { return static_cast<std::size_t>(view_->count()); }
  // Meanings and errors as the members of Collection by these names.
  [[nodiscard]] std::optional<Document> fetch(const Name& key, const FieldNames& fields = {}) const { return view_->fetch(key, fields); }
  [[nodiscard]] std::optional<Document> fetch(DocId id, const FieldNames& fields = {}) const { return view_->fetch(id, fields); }
  [[nodiscard]] SearchResult search(const SearchRequest& request) const { return view_->search(request); }
  [[nodiscard]] std::vector<SearchResult> search_batch(const SearchBatchRequest& request) const { return view_->search_batch(request); }
  [[nodiscard]] ScanResult scan(const ScanRequest& request = {}) const { return ScanResult(std::make_unique<detail::ViewScan<P>>(view_, request)); }

 private:
  std::shared_ptr<const detail::View<P>> view_;
};

}  // namespace quiver
