// The write-ahead log of a collection: what the writer appends before a batch is visible, and what an open reads back.
#pragma once

#include <quiver/manifest/version.hpp>
#include <quiver/segment/memtable.hpp>
#include <quiver/storage/policy.hpp>
#include <quiver/wal/batch.hpp>
#include <quiver/wal/format.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <atomic>
#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

/// A batch in a log that was read: its payload, and where in the file it begins.
struct LoggedBatch {
  std::uint64_t sequence = 0;
  ByteSpan payload;
  std::uint64_t offset = 0;
};

/// The batches of a log. Owns the bytes that they point into.
struct ReadLog {
  Bytes bytes;
  std::vector<LoggedBatch> batches;
  WalEnd end;
};

/// Reads the log that `version` names. corruption: it is missing, another file, or damaged where it had been synced.
template <StoragePolicy P>
[[nodiscard]] ReadLog read_log(const typename P::Store& store, const Version& version) {
  const auto name = log_name(version.log.number);
  const auto path = store.path() / name;
  const auto read = [&] {
    const auto reader = store.read_log(name);
    ReadLog log;
    log.bytes.resize(static_cast<std::size_t>(reader.size()));
    reader.read(0, log.bytes);
    const auto header = decode_wal_header(log.bytes, path);
    if (header.id != version.log.id || header.store != version.store_id || header.number != version.log.number ||
        header.first_sequence != version.last_sequence + 1)
      fail(Errc::corruption, path, 16, "this is not the log that the manifest names; restore the file from a backup");
    log.end = scan_wal(log.bytes, header, path, [&](std::uint64_t sequence, ByteSpan payload) {
      log.batches.push_back({sequence, payload, static_cast<std::uint64_t>(payload.data() - log.bytes.data())});
    });
    return log;
  };
  try {
    return read();
  } catch (const Error& e) {
    if (e.code() == Errc::not_found) fail(Errc::corruption, path, "the manifest names this log and it is not there; restore it from a backup");
    if (e.code() != Errc::corruption) throw;
    // A writer may have been between two pages when they were read: only what looks the same twice is judged.
    return read();
  }
}

/// What a log adds to its version.
struct Replayed {
  std::shared_ptr<Memtable> memtable;
  std::vector<DocId> deleted;  // of the memtable's documents and of those in blocks; each once
};

/// The rows of a log as a memtable, and what it deletes: documents that the memtable has or `alive(id)` tells to be in a block and not deleted yet.
template <std::predicate<DocId> Alive>
[[nodiscard]] Replayed replay(const ReadLog& log, const Version& version, const std::filesystem::path& path, Alive&& alive) {
  Replayed out;
  out.memtable = std::make_shared<Memtable>(version.schema, DocId{version.next_doc_id});
  boost::unordered_flat_set<std::uint64_t> gone;
  WalRow row;
  for (const auto& batch : log.batches)
    decode_wal_rows(
        batch.payload, version.schema, path, batch.offset, row,
        [&](const WalRow& put) {
          if (put.id() != out.memtable->doc_id(out.memtable->rows()) || out.memtable->rows() >= Memtable::max_rows)
            fail(Errc::corruption, path, batch.offset, "document " + std::to_string(put.id().value) + " is out of order in the log");
          out.memtable->append(put.key(), fingerprint(put.key()), put.bound());
        },
        [&](DocId id) {
          if (id >= out.memtable->doc_id(out.memtable->rows()))
            fail(Errc::corruption, path, batch.offset, "the log deletes document " + std::to_string(id.value) + ", which was never there");
          if ((id.value >= version.next_doc_id || alive(id)) && gone.insert(id.value).second) out.deleted.push_back(id);
        });
  return out;
}

/// The log of the process that writes. Nobody appends to a log that another open created: after a failed sync its pages may show what the disk does not have.
/// One thread appends; another may sync meanwhile.
template <WritableStoragePolicy P>
class LogWriter {
 public:
  /// A new log, durable with its name and with copies of `batches`. REQUIRES: they are in sequence, the first is first_sequence.
  LogWriter(typename P::Store& store, FileId store_id, std::uint64_t number, std::uint64_t first_sequence, std::span<const LoggedBatch> batches = {})
      : LogWriter(store, WalHeader{random_file_id(), store_id, number, first_sequence}, batches) {}

  [[nodiscard]] LogRef ref() const noexcept { return {header_.number, header_.id}; }
  /// Of the last batch that was appended.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

  /// Bytes so far.
  [[nodiscard]] std::uint64_t size() const noexcept { return written_ + waiting_.size(); }

  /// Appends a batch as the next in sequence; one of Durability::none may wait for the next that is stronger. no_space: it was not appended, and the log
  /// goes on. io_error: nobody knows; no more writing.
  void append(ByteSpan payload, Durability durability) {
    const auto before = waiting_.size();
    append_wal_record(waiting_, header_.id, written_ + before, sequence_ + 1, durable_, payload);
    if (durability != Durability::none || waiting_.size() > most_waiting) {
      try {
        write();
      } catch (const Error& e) {
        if (e.code() == Errc::no_space) waiting_.resize(before);
        throw;
      }
    }
    ++sequence_;
  }
  /// What the system had when this was called is durable when it returns. A failure is final.
  void sync() {
    const std::uint64_t upto = written_;
    log_.sync();
    durable_ = upto;
  }
  /// Says in the log how far it is durable, so that damage there is not taken for its end; the next record says it too, so a failure costs nothing. Appends.
  void mark() noexcept {
    try {
      if (!waiting_.empty()) return;
      append_wal_mark(waiting_, header_.id, written_, sequence_, durable_);
      write();
    } catch (...) {
      waiting_.clear();
    }
  }

 private:
  static constexpr std::size_t most_waiting = std::size_t{1} << 20;  // of Durability::none, before the system gets it after all

  LogWriter(typename P::Store& store, const WalHeader& header, std::span<const LoggedBatch> batches)
      : header_(header), sequence_(header.first_sequence - 1), log_(store.append_log(log_name(header.number), begin(batches))) {}

  Bytes begin(std::span<const LoggedBatch> batches) {
    auto bytes = encode_wal_header(header_);
    for (const auto& batch : batches) append_wal_record(bytes, header_.id, bytes.size(), ++sequence_, wal_header_size, batch.payload);
    // They are synced together with their name, or the log is not named by any manifest.
    append_wal_mark(bytes, header_.id, bytes.size(), sequence_, bytes.size());
    written_ = durable_ = bytes.size();
    return bytes;
  }
  void write() {
    log_.append(waiting_);
    written_ += waiting_.size();
    waiting_.clear();
  }

  WalHeader header_;
  std::uint64_t sequence_;
  std::atomic<std::uint64_t> written_ = 0, durable_ = 0;  // offsets: what the system has, and what stable storage has
  Bytes waiting_;
  typename P::Log log_;
};

}  // namespace quiver::detail
