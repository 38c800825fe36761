// Logs in memory: the one of the README's worked example, and a builder that remembers where its records are.
#pragma once

#include <quiver/wal/batch.hpp>
#include <quiver/wal/format.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace quiver::test {

[[nodiscard]] inline detail::WalHeader sample_wal_header() {
  return {{0x1716151413121110ull, 0x2726252423222120ull}, {0x3736353433323130ull, 0x4746454443424140ull}, 3, 42};
}

// A log as its writer would append to it.
class LogBuilder {
 public:
  struct Placed {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
    std::uint64_t sequence = 0;
    std::uint64_t durable = 0;
    bool mark = false;
    Bytes payload;
  };

  explicit LogBuilder(const detail::WalHeader& header = sample_wal_header())
      : header_(header), bytes_(detail::encode_wal_header(header)), sequence_(header.first_sequence - 1) {}

  LogBuilder& batch(ByteSpan payload) { return batch(payload, ++sequence_); }
  LogBuilder& batch(ByteSpan payload, std::uint64_t sequence) {
    const auto offset = bytes_.size();
    detail::append_wal_record(bytes_, header_.id, offset, sequence, durable_, payload);
    records_.push_back({offset, bytes_.size(), sequence, durable_, false, Bytes(payload.begin(), payload.end())});
    return *this;
  }
  LogBuilder& batch(std::string_view payload) { return batch(detail::as_bytes(payload)); }
  LogBuilder& mark() { return mark(sequence_); }
  LogBuilder& mark(std::uint64_t sequence) {
    const auto offset = bytes_.size();
    detail::append_wal_mark(bytes_, header_.id, offset, sequence, durable_);
    records_.push_back({offset, bytes_.size(), sequence, durable_, true, {}});
    return *this;
  }
  // Everything up to here is known to be synced by what is appended next.
  LogBuilder& sync() {
    durable_ = bytes_.size();
    return *this;
  }
  LogBuilder& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }

  [[nodiscard]] const detail::WalHeader& header() const noexcept { return header_; }
  [[nodiscard]] const Bytes& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::vector<Placed>& records() const noexcept { return records_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return records_.empty() ? detail::wal_header_size : records_.back().end; }

 private:
  detail::WalHeader header_;
  Bytes bytes_;
  std::vector<Placed> records_;
  std::uint64_t sequence_ = 0;
  std::uint64_t durable_ = detail::wal_header_size;
};

[[nodiscard]] inline Schema sample_wal_schema() { return Schema{Field::int32("year").nullable(), Field::strings("genres"), VectorField("v", 2)}; }

[[nodiscard]] inline Document sample_wal_document() {
  return Document("tt0111161", {{"year", 1994}, {"genres", Strings{"Drama", "War"}}, {"v", std::vector<float>{0.5f, -1.0f}}});
}

// One put and one delete.
[[nodiscard]] inline Bytes sample_wal_payload() {
  const auto schema = sample_wal_schema();
  const auto document = sample_wal_document();
  detail::BoundRow row;
  detail::bind_document(schema, document, row);
  detail::WalBatch batch(schema);
  batch.put(DocId{7}, document.key(), row);
  batch.erase(DocId{3});
  const auto bytes = batch.bytes();
  return Bytes(bytes.begin(), bytes.end());
}

// That batch, synced, and the mark that says so.
[[nodiscard]] inline LogBuilder sample_wal() {
  LogBuilder log;
  log.batch(sample_wal_payload()).sync().mark();
  return log;
}

}  // namespace quiver::test
