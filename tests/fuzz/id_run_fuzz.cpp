// Fuzzes opening an id run and looking keys up in it. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any, and the
// mutator here mends those of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/ids/run.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;
using Entry = std::pair<std::uint64_t, DocId>;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "id_run_fuzz: %s\n", what);
  std::abort();
}

Bytes sample() {
  std::mt19937_64 random(5);
  std::vector<Entry> entries;
  // Some fingerprints bear several documents, one of them more than a lookup copies out at once.
  for (std::uint64_t i = 0; i < 300; ++i) entries.push_back({i % 5 == 0 ? 42 : i % 3 == 0 ? random() % 8 : random(), DocId{1000 + i * 7}});
  test::BytesDraft draft;
  static_cast<void>(write_id_run(draft, std::move(entries), FileId{1, 2}));
  return std::move(draft.bytes);
}

// The run's order: by fingerprint, newest document first.
bool in_order(const Entry& a, const Entry& b) { return a.first < b.first || (a.first == b.first && a.second >= b.second); }

Bytes starts(const IdRun<test::BytesReader>& run) {
  test::BytesScope scope;
  const auto section = run.block().section(starts_section);
  const auto bytes = run.block().view(scope, section, 0, section.length);
  return {bytes.begin(), bytes.end()};
}

void ask(const IdRun<test::BytesReader>& run, std::size_t file_size) {
  if (run.size() > file_size / 12) broken("more entries than the file has room for");
  test::BytesScope scope;
  std::vector<Entry> entries(static_cast<std::size_t>(run.size()));
  run.read(scope, 0, entries);
  const bool sorted = std::adjacent_find(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return !in_order(a, b); }) == entries.end();
  std::vector<std::uint64_t> prints{0, 41, 42, ~std::uint64_t{0}};
  for (std::size_t i = 0; i < entries.size(); i += 1 + entries.size() / 64) prints.push_back(entries[i].first);
  std::sort(prints.begin(), prints.end());

  std::vector<std::vector<DocId>> one_by_one(prints.size()), in_one_pass(prints.size());
  for (std::size_t i = 0; i < prints.size(); ++i) run.find(scope, prints[i], [&](DocId id) { return one_by_one[i].push_back(id), false; });
  run.find_sorted(scope, prints, [&](std::size_t i, DocId id) { return in_one_pass[i].push_back(id), false; });
  if (one_by_one != in_one_pass) broken("one pass finds something else than lookups one by one");
  if (!sorted) return;
  test::BytesDraft draft;
  const auto again = write_id_run(draft, entries, FileId{1, 2});
  const IdRun<test::BytesReader> copy(test::BytesReader(draft.bytes, "copy"), scope, again);
  std::vector<Entry> read(entries.size());
  if (copy.size() != run.size()) broken("what was read is written as another number of entries");
  copy.read(scope, 0, read);
  if (read != entries) broken("what was read is written as something else");
  // What no checksum caught may be missed, and lookups end.
  if (starts(run) != starts(copy)) return;
  for (std::size_t i = 0; i < prints.size(); ++i) {
    std::vector<DocId> wanted;
    for (const auto& [print, id] : entries)
      if (print == prints[i]) wanted.push_back(id);
    if (one_by_one[i] != wanted) broken("a lookup does not find what is there");
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto fresh = sample();
  return fuzz::mutate_block(data, size, max_size, seed, fresh);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "idmap-000001";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  test::BytesScope scope;
  try {
    auto identity = test::claimed_identity(bytes);
    if (identity == FileIdentity{}) identity.length = size;
    const IdRun<test::BytesReader> run(test::BytesReader(bytes, path), scope, identity);
    fuzz::accepted();
    ask(run, size);
  } catch (const Error& e) {
    if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
    if (e.path() != path) broken("an error without path");
  }
  return 0;
}
