// Fuzzes decode_wal_header, scan_wal and decode_wal_batch. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any, and
// the mutator here changes most inputs within one record, whose length and sequence it then mends. Starts from a sample of its own if the corpus is empty.
#include <quiver/wal/batch.hpp>
#include <quiver/wal/format.hpp>

#include "fuzz/accepted.hpp"
#include "support/every_type.hpp"
#include "wal/sample_log.hpp"

#include <cstdio>
#include <cstdlib>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace quiver;
using namespace quiver::detail;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "wal_fuzz: %s\n", what);
  std::abort();
}

const Schema& schema() {
  static const Schema fields(std::vector<Field>(test::every_type_schema().fields()), {VectorField("v", 2)});
  return fields;
}

Document document(std::uint64_t row) {
  Document d("key-" + std::to_string(row));
  d.set("v", std::vector<float>{static_cast<float>(row), -1.0f});
  for (const char* prefix : {"", "maybe_"}) {
    if (row % 2 == 1 && *prefix != 0) continue;
    const auto set = [&](const char* name, Value value) { d.set(std::string(prefix) + name, std::move(value)); };
    set("boolean", row % 3 == 0);
    for (const char* name : {"int32", "int64", "uint32", "uint64"}) set(name, row);
    for (const char* name : {"float32", "float64"}) set(name, static_cast<float>(row) / 4);
    set("string", std::string(row % 5, 's'));
    set("strings", Strings(row % 4, "tag"));
    set("bytes", Bytes(row % 6, std::byte{9}));
  }
  return d;
}

Bytes sample() {
  WalBatch batch(schema());
  BoundRow bound;
  test::LogBuilder log;
  for (std::uint64_t row = 0; row < 4; ++row) {
    const auto d = document(row);
    bind_document(schema(), d, bound);
    batch.put(DocId{row + 1}, d.key(), bound);
    if (row % 2 == 0) continue;
    batch.erase(DocId{row});
    log.batch(batch.bytes()).sync().mark();
    batch.clear();
  }
  return log.zeros(64).bytes();
}

// Where the records of a log are, as far as their lengths make sense.
std::vector<std::size_t> records(ByteSpan file) {
  std::vector<std::size_t> at;
  for (std::uint64_t x = wal_header_size; within(x, wal_record_header_size, file.size());) {
    at.push_back(static_cast<std::size_t>(x));
    const auto length = load<std::uint64_t>(file.data() + x);
    if (length > file.size()) break;
    x += load<std::uint32_t>(file.data() + x + 8) == wal_mark_flag ? wal_mark_size : wal_record_size(length);
  }
  return at;
}

// Reads one batch; whether it was one.
bool read_batch(ByteSpan payload, const std::filesystem::path& path, std::uint64_t base) {
  try {
    WalBatch again(schema());
    BoundRow bound;
    decode_wal_batch(
        payload, schema(), path, base,
        [&](DocId id, const Document& d) {
          bind_document(schema(), d, bound);
          again.put(id, d.key(), bound);
        },
        [&](DocId id) { again.erase(id); });
    if (!std::ranges::equal(again.bytes(), payload)) broken("a batch is written in other bytes than it was read");
    return true;
  } catch (const Error& e) {
    if (e.code() != Errc::corruption) broken(e.what());
    if (e.path() != path || !e.offset() || *e.offset() < base || *e.offset() > base + payload.size()) broken("an error of a batch without path or offset");
    return false;
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto fresh = sample();
  auto* bytes = reinterpret_cast<std::byte*>(data);
  if (size < wal_header_size || load<std::uint64_t>(bytes) != wal_magic) {
    if (fresh.size() > max_size || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, fresh.data(), fresh.size());
    size = fresh.size();
  }
  if (seed % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
  // Bytes change in place: somewhere, or in the header of a record, or in its payload.
  const auto at = records({bytes, size});
  std::size_t from = seed / 64 % size, window = std::size_t{1} << (seed / 16 % 4);
  if (seed % 4 != 0 && !at.empty()) {
    const auto record = at[seed / 256 % at.size()];
    const auto length = std::min<std::uint64_t>(load<std::uint64_t>(bytes + record), size - record - wal_record_header_size);
    from = seed % 4 == 1 || length == 0 ? record + seed / 64 % wal_record_header_size
                                        : record + wal_record_header_size + seed / 4096 % static_cast<std::size_t>(length);
  }
  window = std::min(window, size - from);
  LLVMFuzzerMutate(data + from, window, window);
  if (seed % 8 < 4) return size;
  // Sequences as they must be, so that the scan goes on.
  auto sequence = load<std::uint64_t>(bytes + 56);
  for (const auto record : records({bytes, size})) {
    const bool mark = load<std::uint32_t>(bytes + record + 8) == wal_mark_flag;
    store(bytes + record + 16, mark ? sequence - 1 : sequence);
    sequence += mark ? 0 : 1;
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "wal-000003";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const auto header = decode_wal_header(bytes, path);
    auto again = encode_wal_header(header);
    if (std::memcmp(again.data(), data, 64) != 0) broken("a header is written in other bytes than it was read");
    std::uint64_t batches = 0, read = 0;
    const auto end = scan_wal(bytes, header, path, [&](std::uint64_t sequence, ByteSpan payload) {
      if (sequence != header.first_sequence + batches++) broken("a sequence that does not follow");
      const auto offset = static_cast<std::uint64_t>(payload.data() - bytes.data());
      if (offset % 8 != 0 || !within(offset, payload.size(), size)) broken("a payload that is not in the file");
      read += read_batch(payload, path, offset) ? 1 : 0;
    });
    if (end.offset < wal_header_size || end.offset > size || end.offset % 8 != 0) broken("an end that is not in the file");
    if (end.last_sequence != header.first_sequence + batches - 1) broken("another last sequence");
    bool zeros = true;
    for (std::size_t i = static_cast<std::size_t>(end.offset); i < size; ++i) zeros = zeros && data[i] == 0;
    if (zeros == end.torn) broken("torn where zeros follow, or not where other bytes do");
    // A log of which every batch is one that could have been written.
    if (batches > 0 && read == batches) fuzz::accepted();
  } catch (const Error& e) {
    if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
    if (e.path() != path || !e.offset()) broken("an error without path or offset");
  }
  return 0;
}
