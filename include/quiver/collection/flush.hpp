// Memory -> blocks -> a new version: the publish order that every durable promise rests on.
#pragma once

#include <quiver/collection/recovery.hpp>
#include <quiver/columns/writer.hpp>
#include <quiver/core/version.hpp>

#include <chrono>
#include <span>
#include <utility>
#include <vector>

namespace quiver::detail {

[[nodiscard]] inline std::int64_t now_microseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The versions that stay listed once `next` is the newest: the newest retain_versions with it, those younger than retain_age_seconds, and always the one
/// before. One that continues another is not counted, and stays only where `next` comes directly after it.
/// `keep`, if it was listed, stays whatever the options say.
[[nodiscard]] inline std::vector<RetainedVersion> retained_after(const Version& before, const Version& next, std::uint64_t keep = 0) {
  auto all = before.retained;
  all.push_back({before.number, before.time, before.documents, before.continues});
  std::vector<RetainedVersion> kept;
  std::uint64_t newest = next.continues ? 0 : 1;
  const auto most = std::max<std::uint64_t>(next.retain_versions, 2);  // with the one before
  for (auto version = all.rbegin(); version != all.rend(); ++version) {
    if (!version->continues) ++newest;
    // Unsigned, as any time may stand in a manifest.
    const auto age = (static_cast<std::uint64_t>(next.time) - static_cast<std::uint64_t>(version->time)) / 1'000'000;
    const bool young = next.retain_age_seconds > 0 && (version->time > next.time || age < static_cast<std::uint64_t>(next.retain_age_seconds));
    if (version == all.rbegin() || (!version->continues && (newest <= most || young)) || version->number == keep) kept.push_back(*version);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

/// The bytes of a manifest of the collection at `path`. corruption: of what the files hold no version can be made; options were checked when they were given.
[[nodiscard]] inline Bytes manifest_bytes(const Version& version, const std::filesystem::path& path) {
  if (const auto fault = find_fault(version); !fault.empty())
    fail(Errc::corruption, path, "what the files hold makes no version, so nothing was published: " + fault + "; verify() tells more");
  return encode_version(version);
}

/// Publishes a manifest: durable, then visible.
template <WritableStoragePolicy P>
std::uint64_t publish_manifest(typename P::Store& store, const Version& version) {
  const auto bytes = manifest_bytes(version, store.path());
  auto draft = store.create(manifest_name(version.number));
  draft.append(bytes);
  store.publish(std::move(draft));
  return bytes.size();
}

/// The numbers that the next files get.
struct NextNumbers {
  std::uint64_t segment = 1, block = 1, run = 1, deletes = 1;

  [[nodiscard]] static NextNumbers of(const Version& version) noexcept {
    return {version.next_segment, version.next_block, version.next_run, version.next_deletes};
  }
  void give(Version& version) const noexcept {
    version.next_segment = segment, version.next_block = block, version.next_run = run, version.next_deletes = deletes;
  }
};

/// Takes over the numbers that a version has given out when it ends, also by an error: files may bear them.
class KeptNumbers {
 public:
  KeptNumbers(NextNumbers& numbers, const Version& version) noexcept : numbers_(numbers), version_(version) {}
  ~KeptNumbers() { numbers_ = NextNumbers::of(version_); }
  KeptNumbers(const KeptNumbers&) = delete;
  KeptNumbers& operator=(const KeptNumbers&) = delete;

 private:
  NextNumbers& numbers_;
  const Version& version_;
};

/// The version after `before`, as yet with the same content.
[[nodiscard]] inline Version successor(const Version& before) {
  auto next = before;
  next.parent = before.number;
  next.number += 1;
  next.time = now_microseconds();
  next.library_version = library_version;
  return next;
}

/// A version like `before`, under a log of this process.
[[nodiscard]] inline Version continued(const Version& before, const LogRef& log) {
  auto next = successor(before);
  next.log = log;
  next.continues = true;
  next.retained = retained_after(before, next);
  return next;
}

/// The rows of a memtable that a moment may see, as a column source: the memtable's own count is its writer's, who may be another thread.
struct PublishedRows {
  const Memtable& memtable;
  std::uint64_t count;
  [[nodiscard]] std::uint64_t rows() const noexcept { return count; }
  [[nodiscard]] std::string_view key(std::uint64_t row) const noexcept { return memtable.key(row); }
  [[nodiscard]] DocId doc_id(std::uint64_t row) const noexcept { return memtable.doc_id(row); }
  [[nodiscard]] Cell cell(std::size_t column, std::uint64_t row) const { return memtable.cell(column, row); }
};

/// Drafts a file of deletes, `count` of which a block holds.
template <WritableStoragePolicy P>
[[nodiscard]] DeletesRef draft_deletes(typename P::Store& store, std::vector<typename P::Draft>& drafts, const DeleteSet& deletes, std::uint64_t count,
                                       Version& next) {
  auto name = deletes_name(next.next_deletes++);
  drafts.push_back(store.create(name));
  return {{std::move(name), write_deletes(drafts.back(), deletes)}, count};
}

/// Writes the memtable's rows as blocks and an id run, and the deletes where they are not those of the current version, of which `next` begins as a copy,
/// and makes `next` name them. Everything is drafted before anything is published, so an error on the way leaves the store as it was. The rows may be of
/// another store, under another policy. `graphs`: of the memtable, while nobody adds to them; those that are over all rows of a block are written beside it.
template <WritableStoragePolicy P, StoragePolicy From>
[[nodiscard]] std::vector<typename P::Draft> draft_flush(typename P::Store& store, const Rows<From>& now, Version& next,
                                                         const MemtableGraphs* graphs = nullptr) {
  const auto rows = now.memtable_rows();
  std::vector<typename P::Draft> drafts;
  const auto draft = [&](std::string name, auto&& write) {
    drafts.push_back(store.create(name));
    return FileRef{std::move(name), write(drafts.back())};
  };
  if (now.deleted() != next.deletes.count) next.deletes = draft_deletes<P>(store, drafts, now.deletes(), now.deleted(), next);
  if (rows == 0) return drafts;
  const auto& memtable = *now.memtable();
  for (std::uint64_t first = 0; first < rows;) {
    if (next.segments.empty() || next.segments.back().sealed) next.segments.push_back({SegmentId{next.next_segment++}, false, {}});
    auto& segment = next.segments.back();
    const auto room = next.segment_rows - segment.rows();
    const auto count = std::min(rows - first, room);
    const auto base = BlockRef{BlockType::scalar, {}, {}, count, memtable.doc_id(first), memtable.doc_id(first + count - 1)};

    auto scalar = base;
    scalar.file = draft(block_name({segment.id, next.next_block++, BlockType::scalar}), [&](auto& to) {
      return write_scalar_block(to, next.schema, PublishedRows{memtable, rows}, first, count);
    });
    segment.blocks.push_back(std::move(scalar));
    for (std::size_t i = 0; i < next.schema.vectors().size(); ++i) {
      const auto& field = next.schema.vectors()[i];
      auto block = base;
      block.type = BlockType::vector_index;
      block.field = field.name();
      block.file = draft(block_name({segment.id, next.next_block++, BlockType::vector_index}), [&](auto& to) {
        return write_flat_block(to, field.metric(), {field.dimension(), field.element()}, count,
                                [&](std::uint64_t row) { return memtable.vector(i, first + row).data(); });
      });
      if (const auto graph = graphs != nullptr && count == rows ? graphs->whole(i, field, rows) : nullptr)
        block.graph = draft(block_name({segment.id, next.next_block++, BlockType::vector_graph}),
                            [&](auto& to) { return graph->whole([&](const HnswGraph& links) { return write_hnsw_block(to, links, graph->parameters()); }); });
      segment.blocks.push_back(std::move(block));
    }
    segment.sealed = count == room;
    first += count;
  }
  std::vector<std::pair<std::uint64_t, DocId>> entries;
  entries.reserve(static_cast<std::size_t>(rows));
  for (std::uint64_t row = 0; row < rows; ++row) entries.emplace_back(fingerprint(memtable.key(row)), memtable.doc_id(row));
  next.id_runs.push_back(draft(run_name(next.next_run++), [&](auto& to) { return write_id_run(to, std::move(entries)); }));
  return drafts;
}

}  // namespace quiver::detail
