// Fuzzes opening a SCALAR block and reading every value of it. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts
// any, and the mutator here mends those of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/columns/reader.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"
#include "support/every_type.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace quiver;
using namespace quiver::detail;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "scalar_block_fuzz: %s\n", what);
  std::abort();
}

// Reads every byte that a cell views, for AddressSanitizer to see.
std::size_t touch(std::string_view text) {
  std::size_t sum = 0;
  for (const char letter : text) sum += static_cast<unsigned char>(letter);
  return sum;
}
std::size_t touch(const Cell& cell) {
  if (const auto* text = std::get_if<std::string_view>(&cell)) return touch(*text);
  std::size_t sum = 0;
  if (const auto* list = std::get_if<std::vector<std::string_view>>(&cell))
    for (const auto element : *list) sum += touch(element);
  return sum;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto sample = test::scalar_block(test::every_type_schema(), test::EveryTypeRows(4), 2).first;
  return fuzz::mutate_block(data, size, max_size, seed, sample);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "a.scalar";
  static const auto schema = test::every_type_schema();
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  test::BytesScope scope;
  const auto attempt = [&](auto&& read) {
    try {
      read();
      return true;
    } catch (const Error& e) {
      if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
      if (e.path() != path) broken("an error without path");
      return false;
    }
  };
  attempt([&] {
    auto identity = test::claimed_identity(bytes);
    if (identity == FileIdentity{}) identity.length = size;
    const ScalarBlock<test::BytesReader> block(test::BytesReader(bytes, path), scope, identity, schema);
    fuzz::accepted();
    std::vector<std::size_t> columns;
    for (std::size_t c = 0; c < schema.fields().size(); ++c) columns.push_back(c);
    const auto rows = std::min<std::uint64_t>(block.rows(), 200);
    for (std::uint64_t row = 0; row < rows; ++row) {
      scope.renew();
      attempt([&] { block.prefetch(scope, std::span(&row, 1), columns); });
      attempt([&] { static_cast<void>(touch(block.key(scope, row))); });
      attempt([&] {
        const auto found = block.find_doc_id(scope, block.doc_id(scope, row));
        if (found && *found >= block.rows()) broken("a doc id is found in a row that is not there");
      });
      for (const auto c : columns) attempt([&] { static_cast<void>(touch(block.cell(scope, c, row))); });
    }
  });
  return 0;
}
