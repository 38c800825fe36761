// A store that a killed writer left, and forged manifests and logs in it: files that verify by themselves and contradict each other.
#pragma once

#include <quiver/collection/collection.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/mmap.hpp>

#include "support/policies.hpp"
#include "support/raw_manifest.hpp"
#include "support/store_files.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quiver::test::forging {

namespace fs = std::filesystem;

inline Schema tiny_schema() { return Schema{Field::int32("n")}; }
inline Document document(int i) { return Document{"k" + std::to_string(i), {{"n", i}}}; }

inline std::string text_of(ByteSpan bytes) { return std::string(detail::as_text(bytes)); }

/// What a killed writer left: versions 2 and 3 with deletes, and a log with two batches behind them. Ids are one higher than numbers.
class Left {
 public:
  Left() {
    auto c = Collection<MMapPolicy>::create(folder_.path("live"), tiny_schema(), {.durability = Durability::buffered, .retain = {.versions = 3}});
    c.insert({document(0), document(1)});
    c.flush();
    c.insert(document(2));
    c.erase("k1");
    c.flush();
    c.insert(document(3));
    c.erase("k0");
    copy_store(folder_.path("live"), path());
    newest_ = version(3);
  }
  [[nodiscard]] fs::path path() const { return folder_.path("left"); }
  [[nodiscard]] fs::path path(const std::string& name) const { return path() / name; }
  [[nodiscard]] fs::path other(const std::string& name) const { return folder_.path(name); }
  [[nodiscard]] detail::Version version(std::uint64_t number) const {
    const auto name = detail::manifest_name(number);
    return detail::decode_version(as_bytes(read_store(path()).at(name)), name);
  }
  [[nodiscard]] const detail::Version& newest() const { return newest_; }
  [[nodiscard]] std::string log() const { return detail::log_name(newest_.log.number); }
  [[nodiscard]] detail::WalHeader header() const { return {newest_.log.id, newest_.store_id, newest_.log.number, newest_.last_sequence + 1}; }

  /// Puts a manifest there as if a writer had meant it.
  void put(const detail::Version& version, std::optional<std::uint32_t> format = {}) const {
    put_file(path(detail::manifest_name(version.number)), text_of(raw_manifest(version, format)));
  }
  /// Puts a log there: its header, a mark, and a batch for each payload.
  void put_log(const std::string& name, const detail::WalHeader& header, const std::vector<Bytes>& payloads) const {
    auto bytes = detail::encode_wal_header(header);
    auto sequence = header.first_sequence;
    detail::append_wal_mark(bytes, header.id, bytes.size(), sequence - 1, bytes.size());
    for (const auto& payload : payloads) detail::append_wal_record(bytes, header.id, bytes.size(), sequence++, detail::wal_header_size, payload);
    put_file(path(name), text_of(bytes));
  }

 private:
  static ByteSpan as_bytes(const std::string& text) { return detail::as_bytes(std::string_view(text)); }

  FreshFolder folder_;
  detail::Version newest_;
};

inline Bytes batch(const std::vector<std::pair<std::uint64_t, int>>& puts, const std::vector<std::uint64_t>& deletes) {
  const auto schema = tiny_schema();
  detail::WalBatch out(schema);
  detail::BoundRow row;
  for (const auto& [id, n] : puts) {
    const auto one = document(n);
    detail::bind_document(schema, one, row);
    out.put(DocId{id}, one.key(), row);
  }
  for (const auto id : deletes) out.erase(DocId{id});
  const auto bytes = out.bytes();
  return Bytes(bytes.begin(), bytes.end());
}

/// What a reader of the newest or of another version sees.
inline std::string keys(const fs::path& path, std::optional<std::uint64_t> version = {}) {
  std::string out;
  const auto c = Collection<FileReadPolicy>::open(path, {.mode = OpenMode::read_only, .at_version = version});
  for (const auto& d : c.scan()) out += d.key() + " ";
  return out;
}

}  // namespace quiver::test::forging
