// Fuzzes opening a block file: end mark, trailer, directory, sections. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
// accepts any, and the mutator here mends those of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/block/reader.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"
#include "support/sample_block.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace quiver;
using namespace quiver::detail;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "block_directory_fuzz: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  return fuzz::mutate_block(data, size, max_size, seed, test::sample_block().first);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "a.block";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  test::BytesScope scope;
  try {
    auto identity = test::claimed_identity(bytes);
    if (identity == FileIdentity{}) identity.length = size;
    const Block<test::BytesReader> block(test::BytesReader(bytes, path), scope, identity, BlockKind::vector_index);
    block.verify(scope);
    fuzz::accepted();
    std::uint64_t end = 0;
    for (const auto& section : block.sections()) {
      if (section.offset % 64 != 0 || section.offset < end || !within(section.offset, section.length, block.trailer().data_length))
        broken("a section lies where none may");
      end = section.offset + section.length;
      const auto found = block.section(section.name);
      if (found.offset != section.offset || block.view(scope, found, 0, found.length).size() != section.length) broken("a section is not found by its name");
      scope.renew();
    }
  } catch (const Error& e) {
    if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
    if (e.path() != path) broken("an error without path");
  }
  return 0;
}
