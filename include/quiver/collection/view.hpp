// One moment of a collection: an immutable version and the memtable's rows published so far.
#pragma once

#include <quiver/collection/options.hpp>
#include <quiver/ids/deletes.hpp>
#include <quiver/ids/run.hpp>
#include <quiver/manifest/version.hpp>
#include <quiver/segment/rows.hpp>

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace quiver::detail {

/// The files of one version, opened. Immutable and shared; parts and runs are shared with the versions before and after.
template <StoragePolicy P>
struct OpenVersion {
  using Run = IdRun<typename P::Reader>;

  std::shared_ptr<typename P::Store> store;
  Version manifest;
  std::uint64_t manifest_bytes = 0;
  typename Rows<P>::Parts parts;                 // of all segments, in doc-id order
  std::vector<std::shared_ptr<const Run>> runs;  // oldest first
  DeleteSet deletes;

  /// Null where it has no such thing open.
  [[nodiscard]] typename Rows<P>::Parts::value_type part(const PartFiles& files) const {
    const auto found = std::find_if(parts.begin(), parts.end(), [&](const auto& each) { return each->files() == files; });
    return found == parts.end() ? nullptr : *found;
  }
  /// `likely`: where it is if this version and the asking one have the same runs before it.
  [[nodiscard]] std::shared_ptr<const Run> run(const FileRef& file, std::size_t likely = 0) const {
    const auto& files = manifest.id_runs;
    if (likely < files.size() && files[likely] == file) return runs[likely];
    const auto found = std::find(files.begin(), files.end(), file);
    return found == files.end() ? nullptr : runs[static_cast<std::size_t>(found - files.begin())];
  }
};

/// What the readers of a version's files say that they keep in memory; a policy's reader without `resident()` keeps nothing there that counts. Links and codes
/// that were copied from files besides.
template <StoragePolicy P>
[[nodiscard]] std::uint64_t bytes_in_memory(const OpenVersion<P>& version) noexcept {
  std::uint64_t sum = 0;
  if constexpr (requires(const typename P::Reader& reader) {
                  { reader.resident() } noexcept -> std::same_as<std::uint64_t>;
                }) {
    for (const auto& part : version.parts) {
      sum += part->scalars().reader().resident();
      for (std::size_t i = 0; i < part->vector_fields(); ++i) {
        sum += part->vectors(i).block().reader().resident();
        if (const auto* graph = part->graph(i)) sum += graph->block().reader().resident();
        if (const auto* codes = part->codes(i)) sum += codes->block().reader().resident();
      }
    }
    for (const auto& run : version.runs) sum += run->block().reader().resident();
  }
  for (const auto& part : version.parts)
    for (std::size_t i = 0; i < part->vector_fields(); ++i) {
      if (const auto* graph = part->graph(i)) sum += graph->copied();
      if (const auto* codes = part->codes(i)) sum += codes->copied();
    }
  return sum;
}

/// The blocks of a segment, cut into flushes. The manifest's codec has shown that their order and number fit the schema.
[[nodiscard]] inline std::vector<PartFiles> part_files(const Schema& schema, const SegmentRef& segment) {
  std::vector<PartFiles> out;
  const auto step = 1 + schema.vectors().size();
  for (std::size_t at = 0; at + step <= segment.blocks.size(); at += step) {
    const auto& scalar = segment.blocks[at];
    PartFiles files{scalar.file, {}, {}, {}, scalar.rows, scalar.first, scalar.last};
    for (std::size_t i = 1; i < step; ++i) {
      files.metrics.push_back(schema.vectors()[i - 1].metric());
      files.vectors.push_back(segment.blocks[at + i].file);
      files.graphs.push_back(segment.blocks[at + i].graph);
      files.codes.push_back(segment.blocks[at + i].codes);
    }
    out.push_back(std::move(files));
  }
  return out;
}

/// Opens what `manifest` names, taking over from `before` and `other` what they have open already, and `deletes` where the caller knows what their file holds.
template <StoragePolicy P>
[[nodiscard]] std::shared_ptr<const OpenVersion<P>> open_version(std::shared_ptr<typename P::Store> store, Version manifest, std::uint64_t manifest_bytes,
                                                                 const OpenVersion<P>* before, const DeleteSet* deletes = nullptr,
                                                                 const OpenVersion<P>* other = nullptr) {
  auto out = std::make_shared<OpenVersion<P>>();
  out->manifest_bytes = manifest_bytes;
  const auto known = before == nullptr ? typename Rows<P>::Parts() : before->parts;
  auto next = known.begin();
  for (const auto& segment : manifest.segments) {
    for (const auto& files : part_files(manifest.schema, segment)) {
      // In the same order as before, but for those that a compaction has put in the place of others.
      const auto same = std::find_if(next, known.end(), [&](const auto& part) { return part->files() == files; });
      if (same != known.end()) {
        out->parts.push_back(*same);
        next = same + 1;
        continue;
      }
      auto part = other == nullptr ? nullptr : other->part(files);
      out->parts.push_back(part ? std::move(part) : std::make_shared<const Part<P>>(*store, manifest.schema, files));
    }
  }
  for (const auto& file : manifest.id_runs) {
    auto run = before == nullptr ? nullptr : before->run(file, out->runs.size());
    if (!run && other != nullptr) run = other->run(file);
    if (!run) {
      auto scope = store->read_scope();
      run = std::make_shared<const IdRun<typename P::Reader>>(open_named_file<P>(*store, file), scope, file.identity);
    }
    out->runs.push_back(std::move(run));
  }
  if (deletes != nullptr) {
    out->deletes = *deletes;
  } else if (before != nullptr && before->manifest.deletes.file == manifest.deletes.file) {
    out->deletes = before->deletes;
  } else if (!manifest.deletes.file.name.empty()) {
    auto scope = store->read_scope();
    out->deletes = read_deletes(open_named_file<P>(*store, manifest.deletes.file), scope, manifest.deletes.file.identity);
  }
  out->manifest = std::move(manifest);
  out->store = std::move(store);
  return out;
}

/// What readers hold: one object behind one pointer, replaced per batch. Immutable; any number of threads.
template <StoragePolicy P>
class View : public std::enable_shared_from_this<View<P>> {
 public:
  using Scope = typename P::ReadScope;

  View(std::shared_ptr<const OpenVersion<P>> version, std::shared_ptr<const Memtable> memtable, Memtable::Mark published, DeleteSet deletes,
       std::uint64_t deleted)
      : version_(std::move(version)), rows_(version_->parts, std::move(memtable), published, std::move(deletes), deleted) {}
  /// A version with nothing behind it.
  View(std::shared_ptr<const OpenVersion<P>> version, std::shared_ptr<const Memtable> memtable)
      : View(version, std::move(memtable), {}, version->deletes, version->manifest.deletes.count) {}

  /// The same moment under a version that holds what this one does.
  [[nodiscard]] std::shared_ptr<const View> with(std::shared_ptr<const OpenVersion<P>> version) const {
    return std::make_shared<const View>(std::move(version), rows_.memtable(), mark(), rows_.deletes(), rows_.deleted());
  }
  /// The same documents under a version whose blocks lack `dropped` of the deleted rows, all of which this one's hold.
  [[nodiscard]] std::shared_ptr<const View> without(const DeleteSet& dropped, std::shared_ptr<const OpenVersion<P>> version) const {
    return std::make_shared<const View>(std::move(version), rows_.memtable(), mark(), rows_.deletes().without(dropped), rows_.deleted() - dropped.size());
  }

  [[nodiscard]] const OpenVersion<P>& version() const noexcept { return *version_; }
  [[nodiscard]] const std::shared_ptr<const OpenVersion<P>>& version_pointer() const noexcept { return version_; }
  [[nodiscard]] const Schema& schema() const noexcept { return version_->manifest.schema; }
  [[nodiscard]] const Rows<P>& rows() const noexcept { return rows_; }
  /// How far this moment sees into its memtable.
  [[nodiscard]] Memtable::Mark mark() const noexcept { return {rows_.memtable_rows(), rows_.memtable_bytes()}; }
  [[nodiscard]] Scope scope() const { return std::as_const(*version_->store).read_scope(); }

  /// The ordinal of a key's document. O(runs); a hit in a run is verified against the key column. The newest row of a key decides: where it is
  /// deleted, so are all before it.
  [[nodiscard]] std::optional<std::uint64_t> find(Scope& scope, std::string_view key, std::uint64_t print) const {
    if (rows_.memtable_rows() != 0) {
      if (const auto row = rows_.memtable()->find(key, print, rows_.memtable_rows())) return live(scope, rows_.size() - rows_.memtable_rows() + *row);
    }
    return find_flushed(scope, key, print);
  }
  /// The same among the documents that are in blocks.
  [[nodiscard]] std::optional<std::uint64_t> find_flushed(Scope& scope, std::string_view key, std::uint64_t print) const {
    std::optional<std::uint64_t> found;
    for (auto run = version_->runs.rbegin(); run != version_->runs.rend() && !found; ++run) {
      (*run)->find(scope, print, [&](DocId id) {
        const auto ordinal = rows_.find(scope, id);
        if (!ordinal || rows_.key(scope, *ordinal) != key) return false;
        found = ordinal;
        return true;
      });
    }
    return found ? live(scope, *found) : found;
  }
  [[nodiscard]] std::optional<Document> fetch(std::string_view key, const FieldNames& names) const {
    check_key(key);
    const Projection fields(schema(), names, true);
    auto scope = this->scope();
    const auto ordinal = find(scope, key, fingerprint(key));
    if (!ordinal) return std::nullopt;
    return rows_.read(scope, schema(), fields, *ordinal, key);
  }
  [[nodiscard]] std::optional<Document> fetch(DocId id, const FieldNames& names) const {
    const Projection fields(schema(), names, true);
    auto scope = this->scope();
    const auto ordinal = rows_.find(scope, id);
    if (!ordinal || !live(scope, *ordinal)) return std::nullopt;
    return rows_.read(scope, schema(), fields, *ordinal);
  }
  [[nodiscard]] SearchResult search(const SearchRequest& request) const {
    auto scope = this->scope();
    return rows_.search(*version_->store, scope, schema(), request);
  }
  [[nodiscard]] std::vector<SearchResult> search_batch(const SearchBatchRequest& request) const {
    return rows_.search_batch(*version_->store, schema(), request);
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return rows_.documents(); }

 private:
  [[nodiscard]] std::optional<std::uint64_t> live(Scope& scope, std::uint64_t ordinal) const {
    return rows_.is_live(scope, ordinal) ? std::optional(ordinal) : std::nullopt;
  }

  std::shared_ptr<const OpenVersion<P>> version_;
  Rows<P> rows_;
};

}  // namespace quiver::detail
