// The write-ahead log of a collection: what the writer appends before a batch is visible, and what an open reads back.
#pragma once

#include <quiver/manifest/version.hpp>
#include <quiver/segment/memtable.hpp>
#include <quiver/storage/huge_pages.hpp>
#include <quiver/storage/policy.hpp>
#include <quiver/storage/process.hpp>
#include <quiver/wal/batch.hpp>
#include <quiver/wal/format.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace quiver::detail {

/// A batch in a log that was read: its payload, and where in the file it begins.
struct LoggedBatch {
  std::uint64_t sequence = 0;
  ByteSpan payload;
  std::uint64_t offset = 0;
};

/// Which log was read, and how far.
struct LogPlace {
  WalHeader header;
  WalEnd end;
};

/// The batches of a log, or of what was appended to it. Owns the bytes that they point into.
struct ReadLog {
  std::unique_ptr<std::byte[]> memory = {};
  ByteSpan bytes = {};
  std::vector<LoggedBatch> batches = {};
  LogPlace place = {};
};

/// Whether the file holds nothing but zeros from `at` on: room that was allocated and not used yet. In pieces, for there may be much of it.
template <class Reader>
[[nodiscard]] bool only_zeros_from(const Reader& reader, std::uint64_t at, std::uint64_t size) {
  Bytes piece(static_cast<std::size_t>(std::min<std::uint64_t>(size - at, 64 * 1024)));
  for (; at < size; at += piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size - at, piece.size())));
    reader.read(at, piece);
    if (!all_zero(piece)) return false;
  }
  return true;
}

/// Reads the log that `version` names, or what came behind `known`, a place in it. corruption: it is missing, another file, or damaged where it had been
/// synced.
template <StoragePolicy P>
[[nodiscard]] ReadLog read_log(const typename P::Store& store, const Version& version, const LogPlace* known = nullptr) {
  const auto name = log_name(version.log.number);
  const auto path = store.path() / name;
  const auto read = [&] {
    const auto reader = store.read_log(name);
    const auto size = reader.size();
    Bytes begin(static_cast<std::size_t>(std::min<std::uint64_t>(size, wal_header_size)));
    reader.read(0, begin);
    const auto header = decode_wal_header(begin, path);
    if (header.id != version.log.id || header.store != version.store_id || header.number != version.log.number ||
        header.first_sequence != version.last_sequence + 1)
      fail(Errc::corruption, path, 16, "this is not the log that the manifest names; restore the file from a backup");
    ReadLog log;
    log.place = known != nullptr ? *known : LogPlace{header, wal_begin(header)};
    const auto from = log.place.end.offset;
    if (from > size) fail(Errc::corruption, path, size, "the log has become shorter than " + std::to_string(from) + " bytes; restore the file from a backup");
    if (known != nullptr && only_zeros_from(reader, from, size)) return log;
    const auto length = static_cast<std::size_t>(size - from);
    log.memory = std::make_unique_for_overwrite<std::byte[]>(length);
    advise_huge_pages(log.memory.get(), length);
    reader.read(from, {log.memory.get(), length});
    log.bytes = {log.memory.get(), length};
    log.place.end = scan_wal(WalBytes(log.bytes, from), header, log.place.end, path, [&](std::uint64_t sequence, ByteSpan payload) {
      log.batches.push_back({sequence, payload, from + static_cast<std::uint64_t>(payload.data() - log.bytes.data())});
    });
    return log;
  };
  for (std::optional<std::uint64_t> last;;) {
    try {
      return read();
    } catch (const Error& e) {
      if (e.code() == Errc::not_found) fail(Errc::corruption, path, "the manifest names this log and it is not there; restore it from a backup");
      // A writer may have been between two pages when they were read: only what looks the same twice in turn is judged.
      if (e.code() != Errc::corruption || (last && last == e.offset().value_or(0))) throw;
      last = e.offset().value_or(0);
    }
  }
}

/// True if there is a log behind that of `newest` and something was appended to it: a writer does that, behind the mark that every log begins with, once the
/// manifest that names the log is durable. So that manifest was there and is gone.
template <StoragePolicy P>
[[nodiscard]] bool later_log_in_use(const typename P::Store& store, const Version& newest) {
  const auto name = log_name(newest.log.number + 1);
  Bytes file;
  WalHeader header;
  try {
    const auto reader = store.read_log(name);
    file.resize(static_cast<std::size_t>(reader.size()));
    reader.read(0, file);
    header = decode_wal_header(file, store.path() / name);
  } catch (const Error& e) {
    // Not there, or cut short while it was made.
    if (e.code() == Errc::not_found || e.code() == Errc::corruption) return false;
    throw;
  }
  if (header.store != newest.store_id) return false;
  const WalBytes log{ByteSpan(file)};
  bool marked = false;
  for (std::uint64_t at = wal_header_size; const auto record = wal_record_at(log, header.id, at);) {
    if (marked) return true;
    if (!record->mark && !wal_payload_at(log, header.id, at, record->length)) return false;
    marked = record->mark;
    at += record->mark ? wal_mark_size : wal_record_size(record->length);
  }
  return false;
}

template <StoragePolicy P>
void require_newest(const typename P::Store& store, const Version& newest) {
  if (later_log_in_use<P>(store, newest))
    fail(Errc::corruption, store.path() / log_name(newest.log.number + 1),
         "this log was written to behind version " + std::to_string(newest.number) +
             ", so there was a newer manifest, and it is gone; restore it from a backup, or let repair() say what can be had without it");
}

/// Appends the rows of a log to `memtable`, and returns what it deletes, each once: documents that alive(id) tells to be there and not deleted yet. On an
/// error some of the rows are there.
template <std::predicate<DocId> Alive>
[[nodiscard]] std::vector<DocId> replay(const ReadLog& log, Memtable& memtable, const Version& version, const std::filesystem::path& path, Alive&& alive) {
  std::vector<DocId> deleted;
  boost::unordered_flat_set<std::uint64_t> gone;
  WalRow row;
  for (const auto& batch : log.batches)
    decode_wal_rows(
        batch.payload, version.schema, path, batch.offset, row,
        [&](const WalRow& put) {
          if (put.id() != memtable.doc_id(memtable.rows()) || memtable.rows() >= Memtable::max_rows)
            fail(Errc::corruption, path, batch.offset, "document " + std::to_string(put.id().value) + " is out of order in the log");
          memtable.append_unindexed(put.key(), put.bound());
        },
        [&](DocId id) {
          if (id >= memtable.doc_id(memtable.rows()))
            fail(Errc::corruption, path, batch.offset, "the log deletes document " + std::to_string(id.value) + ", which was never there");
          if (alive(id) && gone.insert(id.value).second) deleted.push_back(id);
        });
  memtable.index_keys();
  return deleted;
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

  /// Makes room for a payload of that size: append() then asks for no memory, and cannot fail for want of it.
  void prepare(std::size_t payload) {
    const auto needed = waiting_.size() + static_cast<std::size_t>(wal_record_size(payload));
    if (needed > waiting_.capacity()) waiting_.reserve(std::max(needed, 2 * waiting_.capacity()));
  }
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
    end_ = written_ + waiting_.size();
  }
  /// Hands the system what waits. Whether a batch is not durable yet. Errors as append().
  [[nodiscard]] bool carry() {
    if (!waiting_.empty()) write();
    return durable_ < end_;
  }
  /// What the system had when this was called is durable when it returns. A failure is final.
  void sync() {
    const std::uint64_t upto = written_;
    log_.sync();
    durable_ = upto;
  }
  /// Says in the log how far it is durable, so that damage there is not taken for its end; the next record says it too, so a failure costs nothing. Behind
  /// the mark that the log begins with it says, too, that a manifest names the log: REQUIRES that it does, durably. Appends.
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
  std::uint64_t end_ = 0;                                 // of the last batch that was appended
  std::atomic<std::uint64_t> written_ = 0, durable_ = 0;  // offsets: what the system has, and what stable storage has
  Bytes waiting_;
  typename P::Log log_;
};

/// What a writer holds of a store; nothing where the policy does not write.
template <class P>
struct LockOf {
  using type = std::monostate;
};
template <WritableStoragePolicy P>
struct LockOf<P> {
  using type = std::optional<typename P::Lock>;
};
template <class P>
struct LogOf {
  using type = std::monostate;
};
template <WritableStoragePolicy P>
struct LogOf<P> {
  using type = std::unique_ptr<LogWriter<P>>;
};

}  // namespace quiver::detail
