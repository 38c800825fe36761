// The bytes of a write-ahead log: header, records, sync marks, and the scan that tells a log's end from damage. README.md beside this file shows them.
#pragma once

#include <quiver/core/bytes.hpp>
#include <quiver/core/checksum.hpp>
#include <quiver/core/error.hpp>

#include <concepts>
#include <filesystem>
#include <optional>

namespace quiver::detail {

inline constexpr std::uint64_t wal_magic = 0x314C415756495551ull;  // "QUIVWAL1"
inline constexpr std::uint32_t wal_format_version = 1;
inline constexpr std::size_t wal_header_size = 72;
inline constexpr std::size_t wal_record_header_size = 40;
inline constexpr std::size_t wal_mark_size = wal_record_header_size;
inline constexpr std::uint64_t wal_alignment = 8;  // of records in the file

inline constexpr std::uint32_t wal_batch_flag = 0;
inline constexpr std::uint32_t wal_mark_flag = 1;

/// Which log a file is. A value.
struct WalHeader {
  FileId id;
  FileId store;
  std::uint64_t number = 0;
  std::uint64_t first_sequence = 1;  // of the first batch, if there is any; never 0
  friend constexpr bool operator==(const WalHeader&, const WalHeader&) = default;
};

/// Where a log ends.
struct WalEnd {
  std::uint64_t offset = 0;         // behind the last record that verifies; a multiple of 8
  std::uint64_t last_sequence = 0;  // of the last batch; first_sequence - 1 where there is none
  bool torn = false;                // bytes other than zeros follow
  friend constexpr bool operator==(const WalEnd&, const WalEnd&) = default;
};

/// The end of a log without records.
[[nodiscard]] constexpr WalEnd wal_begin(const WalHeader& header) noexcept { return {wal_header_size, header.first_sequence - 1, false}; }

/// Bytes that the record of a batch takes in the file. REQUIRES: length <= 2^63.
[[nodiscard]] constexpr std::uint64_t wal_record_size(std::uint64_t length) noexcept {
  return wal_record_header_size + align_up(length, wal_alignment) + sizeof(std::uint64_t);
}

/// The checksum of `bytes` that lie at `offset` of log `id`: the same bytes elsewhere, or in another log, do not verify.
[[nodiscard]] inline std::uint64_t wal_checksum(FileId id, std::uint64_t offset, ByteSpan bytes) noexcept { return checksum(bytes, chunk_seed(id, offset)); }

/// The first 72 bytes of a log. REQUIRES: neither id is all zero, first_sequence > 0; decode_wal_header refuses others.
[[nodiscard]] inline Bytes encode_wal_header(const WalHeader& header) {
  Bytes bytes;
  bytes.reserve(wal_header_size);
  append(bytes, wal_magic);
  append(bytes, wal_format_version);
  append(bytes, std::uint32_t{0});
  for (const FileId id : {header.id, header.store}) {
    append(bytes, id.low);
    append(bytes, id.high);
  }
  append(bytes, header.number);
  append(bytes, header.first_sequence);
  append(bytes, checksum(bytes, 0));
  return bytes;
}

/// The header of a log from its file, or from the first 72 bytes of it. corruption: with path and offset. version_mismatch: a newer quiver wrote it.
/// That store and number are the ones expected is for the caller to see.
[[nodiscard]] inline WalHeader decode_wal_header(ByteSpan file, const std::filesystem::path& path) {
  if (file.size() < wal_header_size)
    fail(
        Errc::corruption, path, file.size(),
        "the log ends within its header: " + std::to_string(file.size()) + " bytes of " + std::to_string(wal_header_size) + "; restore the file from a backup");
  Cursor in(file.first(wal_header_size), path);
  if (in.take<std::uint64_t>() != wal_magic) fail(Errc::corruption, path, 0, "this is not a write-ahead log: its magic is missing");
  const auto format = in.take<std::uint32_t>();
  const auto reserved = in.take<std::uint32_t>();
  WalHeader header;
  for (FileId* id : {&header.id, &header.store}) {
    id->low = in.take<std::uint64_t>();
    id->high = in.take<std::uint64_t>();
  }
  header.number = in.take<std::uint64_t>();
  header.first_sequence = in.take<std::uint64_t>();
  if (!checksum_matches(checksum(file.first(wal_header_size - sizeof(std::uint64_t)), 0), in.take<std::uint64_t>()))
    fail(Errc::corruption, path, 64, "the log's header does not match its checksum; restore the file from a backup");
  if (format == 0) fail(Errc::corruption, path, 8, "format version 0 cannot be");
  if (format > wal_format_version)
    fail(Errc::version_mismatch, path, 8,
         "log format version " + std::to_string(format) + ", this quiver reads up to " + std::to_string(wal_format_version) + "; use a newer quiver");
  if (reserved != 0) fail(Errc::corruption, path, 12, "the log's header: a reserved field is " + std::to_string(reserved) + ", not 0");
  if (header.id == FileId{}) fail(Errc::corruption, path, 16, "the log has no file id");
  if (header.store == FileId{}) fail(Errc::corruption, path, 32, "the log has no store id");
  if (header.first_sequence == 0) fail(Errc::corruption, path, 56, "the log's first sequence is 0; sequences begin at 1");
  return header;
}

inline void append_wal_record_header(Bytes& to, FileId id, std::uint64_t offset, std::uint64_t length, std::uint32_t flags, std::uint64_t sequence,
                                     std::uint64_t durable) {
  const auto begin = to.size();
  append(to, length);
  append(to, flags);
  append(to, std::uint32_t{0});
  append(to, sequence);
  append(to, durable);
  append(to, wal_checksum(id, offset, ByteSpan(to).subspan(begin)));
}

/// Appends to `to` the record of a batch that is to lie at `offset` of log `id`: wal_record_size(payload.size()) bytes. `durable`: the offset up to which the
/// file is known to be synced. REQUIRES: offset is a multiple of 8; 72 <= durable <= offset; sequence > 0; `payload` is no part of `to`.
inline void append_wal_record(Bytes& to, FileId id, std::uint64_t offset, std::uint64_t sequence, std::uint64_t durable, ByteSpan payload) {
  append_wal_record_header(to, id, offset, payload.size(), wal_batch_flag, sequence, durable);
  append(to, payload);
  to.resize(to.size() + static_cast<std::size_t>(align_up(payload.size(), wal_alignment) - payload.size()));
  append(to, wal_checksum(id, offset + wal_record_header_size, payload));
}

/// Appends a sync mark, 40 bytes: everything before `durable` is known to be synced. `sequence` is that of the last batch before the mark, or
/// first_sequence - 1. REQUIRES: offset is a multiple of 8; 72 <= durable <= offset.
inline void append_wal_mark(Bytes& to, FileId id, std::uint64_t offset, std::uint64_t sequence, std::uint64_t durable) {
  append_wal_record_header(to, id, offset, 0, wal_mark_flag, sequence, durable);
}

/// Bytes of a log from offset `base` of its file on: all of it, or what was appended since somebody looked. Offsets are the file's everywhere.
struct WalBytes {
  WalBytes(ByteSpan from_base, std::uint64_t offset = 0) noexcept : bytes(from_base), base(offset) {}
  ByteSpan bytes;
  std::uint64_t base;

  /// Whether `length` bytes at `at` are there. Never overflows. REQUIRES: at >= base.
  [[nodiscard]] bool has(std::uint64_t at, std::uint64_t length) const noexcept { return within(at - base, length, bytes.size()); }
  [[nodiscard]] const std::byte* at(std::uint64_t offset) const noexcept { return bytes.data() + (offset - base); }
};

/// A record header that verified.
struct WalRecord {
  std::uint64_t length = 0;
  std::uint64_t sequence = 0;
  std::uint64_t durable = 0;
  bool mark = false;
};

/// The record header at `at`; nullopt where none verifies. What costs little is tested first: zeros are not hashed. REQUIRES: base <= at <= end of the bytes.
[[nodiscard]] inline std::optional<WalRecord> wal_record_at(const WalBytes& log, FileId id, std::uint64_t at) noexcept {
  if (!log.has(at, wal_record_header_size)) return std::nullopt;
  const std::byte* from = log.at(at);
  const auto durable = load<std::uint64_t>(from + 24);
  if (durable < wal_header_size || durable > at) return std::nullopt;
  const auto flags = load<std::uint32_t>(from + 8);
  if (flags > wal_mark_flag || load<std::uint32_t>(from + 12) != 0) return std::nullopt;
  const WalRecord record{load<std::uint64_t>(from), load<std::uint64_t>(from + 16), durable, flags == wal_mark_flag};
  // A mark in a log without batches carries first_sequence - 1, which may be 0.
  if (record.mark ? record.length != 0 : record.sequence == 0) return std::nullopt;
  if (!checksum_matches(wal_checksum(id, at, {from, 32}), load<std::uint64_t>(from + 32))) return std::nullopt;
  return record;
}

/// The payload of the batch whose header at `at` verified; nullopt where it does not fit into the bytes or does not verify. The padding is not looked at: it
/// holds nothing that could be lost. Never overflows.
[[nodiscard]] inline std::optional<ByteSpan> wal_payload_at(const WalBytes& log, FileId id, std::uint64_t at, std::uint64_t length) noexcept {
  const auto begin = at + wal_record_header_size;
  if (!log.has(begin, length)) return std::nullopt;
  const auto sum_at = begin + align_up(length, wal_alignment);  // length <= bytes.size() by now
  if (!log.has(sum_at, sizeof(std::uint64_t))) return std::nullopt;
  const ByteSpan payload(log.at(begin), static_cast<std::size_t>(length));
  if (!checksum_matches(wal_checksum(id, begin, payload), load<std::uint64_t>(log.at(sum_at)))) return std::nullopt;
  return payload;
}

/// Called where no record verifies at `x`. Errc::corruption if anything behind it says that `x` had been synced: a crash cannot have torn it. Otherwise the
/// log ends at x, and the result says whether anything but zeros follows.
[[nodiscard]] inline bool wal_tail_is_torn(const WalBytes& log, FileId id, std::uint64_t x, const std::filesystem::path& path) {
  const auto tail = log.bytes.subspan(static_cast<std::size_t>(x - log.base));
  if (all_zero(tail)) return false;
  for (std::uint64_t at = x; log.has(at, wal_record_header_size); at += wal_alignment) {
    if (load<std::uint64_t>(log.at(at + 24)) <= x) continue;  // cannot be evidence, whether it verifies or not
    if (const auto later = wal_record_at(log, id, at))
      fail(Errc::corruption, path, x,
           "no record of the log verifies here, but the record at offset " + std::to_string(at) + " says that everything before offset " +
               std::to_string(later->durable) + " had been synced; restore the file from a backup");
  }
  return true;
}

/// Calls visit(sequence, payload) for each batch of a log behind `from` in order, and returns where the log ends. `from`: where an earlier scan ended; `log`
/// begins there and goes to the end of the file; zeros may follow the log, or what a crash left of a record. The payloads are parts of `log`; nothing is
/// allocated. Errc::corruption, with path and offset: a record that had been synced does not verify, or a sequence is not the one that must follow. Batches
/// before the fault have been visited by then.
template <std::invocable<std::uint64_t, ByteSpan> Visit>
[[nodiscard]] WalEnd scan_wal(const WalBytes& log, const WalHeader& header, WalEnd from, const std::filesystem::path& path, Visit&& visit) {
  auto end = from;
  while (const auto record = wal_record_at(log, header.id, end.offset)) {
    const auto payload = record->mark ? ByteSpan{} : wal_payload_at(log, header.id, end.offset, record->length);
    if (!payload) break;
    const auto expected = record->mark ? end.last_sequence : end.last_sequence + 1;
    if (record->sequence != expected)
      fail(Errc::corruption, path, end.offset,
           std::string(record->mark ? "a sync mark" : "a batch") + " of sequence " + std::to_string(record->sequence) + " where " + std::to_string(expected) +
               " must be; restore the file from a backup");
    if (!record->mark) visit(record->sequence, *payload);
    end.last_sequence = record->sequence;
    end.offset += record->mark ? wal_mark_size : wal_record_size(record->length);
  }
  end.torn = wal_tail_is_torn(log, header.id, end.offset, path);
  return end;
}

/// The same for a whole log: `file` from its first byte.
template <std::invocable<std::uint64_t, ByteSpan> Visit>
[[nodiscard]] WalEnd scan_wal(ByteSpan file, const WalHeader& header, const std::filesystem::path& path, Visit&& visit) {
  if (file.size() < wal_header_size) fail(Errc::corruption, path, file.size(), "the log ends within its header; restore the file from a backup");
  return scan_wal(WalBytes(file.subspan(wal_header_size), wal_header_size), header, wal_begin(header), path, std::forward<Visit>(visit));
}

}  // namespace quiver::detail
