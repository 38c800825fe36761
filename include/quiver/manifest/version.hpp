// One state of a collection: what its manifest says.
#pragma once

#include <quiver/core/trailer.hpp>
#include <quiver/manifest/names.hpp>
#include <quiver/schema/schema.hpp>

#include <string>
#include <vector>

namespace quiver::detail {

/// One block file: what it holds, and of which documents.
struct BlockRef {
  BlockType type = BlockType::scalar;
  std::string field;  // the vector field's name; empty for a scalar block
  FileRef file;
  std::uint64_t rows = 0;
  DocId first, last;   // of its rows, which ascend
  FileRef graph = {};  // of a vector block: links between its rows; without a name: there are none
  FileRef codes = {};  // of a vector block: its rows in fewer bytes; without a name: there are none

  /// Every file that it names.
  [[nodiscard]] std::vector<const FileRef*> files() const {
    std::vector<const FileRef*> out{&file};
    for (const auto* other : {&graph, &codes})
      if (!other->name.empty()) out.push_back(other);
    return out;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return file.identity.length + graph.identity.length + codes.identity.length; }
  friend bool operator==(const BlockRef&, const BlockRef&) = default;
};

/// A segment: per flush one scalar block, followed by its vector blocks in the order of the schema.
struct SegmentRef {
  SegmentId id;
  bool sealed = false;  // only the last segment of a version may be unsealed: it is the writing one
  std::vector<BlockRef> blocks;

  [[nodiscard]] std::uint64_t rows() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& block : blocks)
      if (block.type == BlockType::scalar) sum += block.rows;
    return sum;
  }
  friend bool operator==(const SegmentRef&, const SegmentRef&) = default;
};

/// An older version that is kept.
struct RetainedVersion {
  std::uint64_t number = 0;
  std::int64_t time = 0;  // microseconds since 1970 began
  std::uint64_t documents = 0;
  bool continues = false;  // as Version::continues
  friend constexpr bool operator==(const RetainedVersion&, const RetainedVersion&) = default;
};

/// What a reader must know to use a manifest; one bit per feature, each mask with a different answer to a bit that is not known.
struct FeatureMasks {
  std::uint32_t compat = 0;     // ignore it
  std::uint32_t ro_compat = 0;  // read, do not write
  std::uint32_t incompat = 0;   // refuse
  friend constexpr bool operator==(const FeatureMasks&, const FeatureMasks&) = default;
};

inline constexpr FeatureMasks known_features{};  // this release has no features beyond its format version

/// The log of what was written since the last flush. The manifest names it by number and id, so that no other file passes for it.
struct LogRef {
  std::uint64_t number = 0;  // 0: there is none
  FileId id;
  friend constexpr bool operator==(const LogRef&, const LogRef&) = default;
};

/// Which documents are deleted, as a file of the delete store.
struct DeletesRef {
  FileRef file;             // without a name: there is none
  std::uint64_t count = 0;  // documents that are deleted and that a block holds still
  friend bool operator==(const DeletesRef&, const DeletesRef&) = default;
};

/// The whole state of a collection at one moment, as it is published. A plain value.
struct Version {
  std::uint64_t number = 1;
  std::uint64_t parent = 0;  // 0: the first of its collection
  FileId store_id;           // of the collection, the same in all its manifests
  std::int64_t time = 0;     // microseconds since 1970 began; for people, nothing is ordered by it
  Schema schema;
  std::vector<SegmentRef> segments;  // ascending in document ids
  std::vector<FileRef> id_runs;      // oldest first
  std::uint64_t next_doc_id = 0, next_segment = 0, next_block = 0, next_run = 0;
  std::uint64_t documents = 0;  // without the deleted ones
  std::uint64_t flush_bytes = 0, segment_rows = 1;
  std::uint64_t retain_versions = 1;
  std::int64_t retain_age_seconds = 0;
  std::string preferred_policy;           // empty: none
  std::string library_version;            // that wrote this
  std::vector<RetainedVersion> retained;  // oldest first, this one not included
  LogRef log;
  std::uint64_t last_sequence = 0;  // of the last batch that is flushed; the log's first is the next
  Durability durability = Durability::sync;
  bool continues = false;  // the same documents as its parent, under another log: not a version of its own to a user
  DeletesRef deletes;
  std::uint64_t next_deletes = 1;
  FeatureMasks features = {};

  /// False if the manifest was written with a feature that this release can read past but would break by writing.
  [[nodiscard]] bool writable() const noexcept { return (features.ro_compat & ~known_features.ro_compat) == 0; }
  friend bool operator==(const Version&, const Version&) = default;
};

/// The version that a user sees there: its own number, or that of the one that it continues.
[[nodiscard]] inline std::uint64_t listed_number(const Version& version) noexcept {
  if (!version.continues) return version.number;
  for (auto kept = version.retained.rbegin(); kept != version.retained.rend(); ++kept)
    if (!kept->continues) return kept->number;
  return version.number;  // find_fault() refuses such a one
}

}  // namespace quiver::detail
