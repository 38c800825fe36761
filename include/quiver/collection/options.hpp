// How a collection is created and opened, and what it tells of itself.
#pragma once

#include <quiver/core/error.hpp>
#include <quiver/core/types.hpp>
#include <quiver/schema/index_type.hpp>
#include <quiver/schema/quantizer_type.hpp>
#include <quiver/storage/policy.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quiver {

/// Which versions are kept: the newest `versions`, and any that are younger than `age`. The one before the newest is always kept.
struct Retain {
  std::uint64_t versions = 2;
  std::chrono::seconds age{0};
};

template <StoragePolicy P>
struct CreateOptions {
  typename P::Options storage = {};
  Durability durability = Durability::sync;         ///< of a write that asks for nothing else
  std::size_t flush_bytes = std::size_t{64} << 20;  ///< a batch that finds more than this in memory flushes first
  std::size_t segment_rows = 1'000'000;             ///< a segment with as many rows is sealed; at least 1
  Retain retain = {};
  bool background_compaction = false;  ///< as OpenOptions::background_compaction, while this object lives
  std::string preferred_policy = {};   ///< kept with the collection, for those who open it by name; at most 256 bytes
  bool live_index = true;              ///< as OpenOptions::live_index, while this object lives
};

/// How a dump is loaded: what is unset is as it was in the collection that was dumped.
template <StoragePolicy P>
struct LoadOptions {
  typename P::Options storage = {};
  std::optional<Durability> durability = {};  ///< of later writes; the loading itself is durable when load() returns
  std::optional<std::size_t> flush_bytes = {};
  std::optional<std::size_t> segment_rows = {};
  std::optional<Retain> retain = {};
  bool background_compaction = false;  ///< as CreateOptions::background_compaction, once all is loaded
  std::optional<std::string> preferred_policy = {};
  bool live_index = true;  ///< as CreateOptions::live_index
};

template <StoragePolicy P>
struct OpenOptions {
  OpenMode mode = P::caps.writable ? OpenMode::read_write : OpenMode::read_only;
  typename P::Options storage = {};
  std::optional<std::uint64_t> at_version = {};  ///< the flushed state of that version, read-only; not retained: not_found
  std::optional<Durability> durability = {};     ///< of a write that asks for nothing else; unset: as the collection was created
  /// A thread of this object's own compacts after a flush where that pays. Where it fails, on a full disk or at a damaged file, the collection is as it was
  /// and is written to and read as before; stats().background_error says why until it has succeeded, which is tried again and again, after pauses of 100 ms
  /// to 10 min. close() does not report it, as nothing is lost.
  bool background_compaction = false;
  /// Of what is written to: where the index of a field is Hnsw and 1,000 documents or more are not flushed, a thread of this object's own links them into a
  /// graph, so that a search need not look at each of them. It follows writes and never holds them up; what it has not reached yet is looked at one by one. A
  /// flush writes the graph beside the block if it is over all rows of it, or but for a few. false: no thread and no graph of what is in memory, which leaves
  /// the processor to one who writes much before anybody searches. Where it fails stats().background_error says why, and it tries again after a pause.
  bool live_index = true;
};

/// How far a long call is.
struct Progress {
  std::string_view stage = {};        ///< a word or two for what is being done
  std::uint64_t done = 0, total = 0;  ///< in steps of about equal length, over all stages; of a copy in bytes
};

/// Of optimize().
struct OptimizeOptions {
  std::function<bool(const Progress&)> progress = {};  ///< called often, by the calling thread and without a lock; false stops the call
  std::size_t threads = 0;                             ///< at most, to build an index of vectors; 0: all. Merging is done by one
  /// About the bytes to take at once, besides what the policy keeps of files in memory: of texts while columns are merged (0: 256 MiB), then of the index of
  /// one field of one segment after the other (0: no bound but CreateOptions::segment_rows). An index takes about 8 m + 45 bytes a row, and 4 x dimension more
  /// where the vectors have to be copied: those of one flush without deleted rows are not, where files are mapped or memory. Segments are merged as far as
  /// their index fits, and larger ones that need one are written anew as several, of about the same size. invalid_argument, and nothing is changed: 256 are too
  /// few.
  std::uint64_t memory = 0;
};

/// Of Collection::backup.
struct BackupOptions {
  std::function<bool(const Progress&)> progress = {};  ///< called between pieces, in bytes; false stops it: Errc::cancelled, and the target is as it was
  bool links = true;  ///< share files with the backup where the file system can; false: every byte is read, verified and written
};

/// Of Collection::copy_to.
template <StoragePolicy P>
struct CopyOptions {
  typename P::Options storage = {};
  std::function<bool(const Progress&)> progress = {};  ///< as BackupOptions::progress
};

/// Of one write.
struct WriteOptions {
  std::optional<Durability> durability = {};  ///< unset: the collection's
};

/// One version of a collection: every flush makes one.
struct VersionInfo {
  std::uint64_t number = 0;
  std::chrono::sys_time<std::chrono::microseconds> time = {};
  std::uint64_t documents = 0;
};

/// How the index of a vector field is to be; what is not set stays as it is, but a field that becomes Flat loses its quantizer.
struct IndexSpec {
  std::optional<IndexType> index = {};
  std::optional<QuantizerType> quantizer = {};
  std::optional<Metric> metric = {};  ///< another one drops graphs and codes, which are built anew; to cosine no vector may be all zeros
};

/// Of create_index().
struct IndexOptions {
  std::function<bool(const Progress&)> progress = {};  ///< false stops it; it may call anything but optimize() and create_index()
  std::size_t threads = 0;                             ///< 0: all that the machine has
  std::uint64_t memory = 0;                            ///< as OptimizeOptions::memory
  bool background = false;                             ///< true: a thread builds it after the call, rows that are not in it yet are looked at one by one
};

/// Counts and sizes of one moment.
struct Stats {
  std::uint64_t documents = 0;
  std::uint64_t deleted = 0;
  std::uint64_t segments = 0;
  std::uint64_t version = 0;
  std::uint64_t versions = 0;
  std::uint64_t memtable_documents = 0;  ///< not flushed yet
  std::uint64_t memtable_linked = 0;     ///< of them, those in the graphs of all fields with an Hnsw index; the others are looked at one by one
  std::uint64_t resident = 0;            ///< bytes held in memory: documents not flushed, their graphs, and what the policy keeps of files besides mappings
  struct {
    std::uint64_t scalar = 0, scalar_index = 0, vector_index = 0, vector_quant = 0, ids = 0, deletes = 0, wal = 0, manifests = 0, total = 0;
  } bytes = {};                       ///< of the files that this moment is made of, by kind; of logs and manifests all that are there
  std::string background_error = {};  ///< why this object's last work in the background failed; empty: it did not
};

/// One thing that is wrong.
struct Problem {
  Errc code = Errc::corruption;
  std::filesystem::path path = {};
  std::optional<std::uint64_t> offset = {};
  std::string what = {};
};

/// Of repair().
struct RepairOptions {
  bool dry_run = true;  ///< only say what would be done
};

/// What repair() found, and what it did or would do.
struct RepairReport {
  bool possible = false;               ///< false: `problems` says why; nothing was changed
  std::uint64_t version = 0;           ///< the version whose files are the new state, with what the logs hold behind it; where nothing is wrong the newest
  std::uint64_t documents_lost = 0;    ///< those that can be shown to have been there; a batch that cannot be read counts as one
  std::uint64_t batches_lost = 0;      ///< of those that can be shown to have been in a log; what they deleted is there again, what they replaced is as before
  std::vector<Problem> problems = {};  ///< empty: nothing is wrong, and nothing is to be done
};

struct VerifyReport {
  [[nodiscard]] bool ok() const noexcept { return problems.empty(); }
  std::vector<Problem> problems = {};
  std::uint64_t files = 0;  ///< looked at
  std::uint64_t bytes = 0;  ///< of those files
};

}  // namespace quiver
