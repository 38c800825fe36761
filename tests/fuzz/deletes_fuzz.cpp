// Fuzzes reading a file of deletes and asking the set. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any, and the
// mutator here mends those of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/ids/deletes.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"
#include "support/sample_deletes.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace quiver;
using namespace quiver::detail;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "deletes_fuzz: %s\n", what);
  std::abort();
}

constexpr DocId least{0}, largest{~std::uint64_t{0}};

void ask(const DeleteSet& set) {
  if (set.empty() != (set.size() == 0) || set.count(least, largest) != set.size() || set.any(least, largest) == set.empty()) broken("its size is wrong");
  std::uint64_t seen = 0, taken = 0;
  DocId before;
  set.for_each([&](DocId id) {
    if (seen != 0 && id <= before) broken("ids do not ascend");
    if (seen++ % 64 == 0 && (!set.contains(id) || !set.any(id, id) || set.count(least, id) != seen)) broken("an id is not found");
    before = id;
  });
  if (seen != set.size()) broken("ids are missing");
  const auto odd = set.filtered([&](DocId id) {
    taken += id.value % 2;
    return id.value % 2 == 1;
  });
  if (odd.size() != taken) broken("the filtered set has a wrong size");
  const DocId more[] = {least, largest, before, DocId{before.value + 1}};
  const auto grown = set.with(more);
  for (const auto id : more)
    if (!grown.contains(id)) broken("an added id is not found");
  if (grown.count(least, largest) != grown.size()) broken("the grown set has a wrong size");
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto sample = test::written_deletes(test::sample_deletes()).first;
  return fuzz::mutate_block(data, size, max_size, seed, sample);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "deletes-000001";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  test::BytesScope scope;
  try {
    auto identity = test::claimed_identity(bytes);
    if (identity == FileIdentity{}) identity.length = size;
    const auto set = read_deletes(test::BytesReader(bytes, path), scope, identity);
    fuzz::accepted();
    ask(set);
    // What was read is written as the same set.
    test::BytesDraft draft;
    const auto again = write_deletes(draft, set, FileId{1, 2});
    test::BytesScope other;
    if (read_deletes(test::BytesReader(draft.bytes, path), other, again).size() != set.size()) broken("what was read cannot be written");
  } catch (const Error& e) {
    if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
    if (e.path() != path) broken("an error without path");
  }
  return 0;
}
