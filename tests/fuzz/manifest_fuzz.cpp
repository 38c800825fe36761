// Fuzzes decode_version. Two ways past the frame: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any checksum, and the mutator here mends length
// and checksum of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/manifest/codec.hpp>

#include "fuzz/accepted.hpp"
#include "support/raw_manifest.hpp"
#include "support/versions.hpp"

#include <cstdio>
#include <cstdlib>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace quiver;
using namespace quiver::detail;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "manifest_fuzz: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  if (size < manifest_frame_size) {
    const bool small = seed % 2 == 0;
    const auto sample = seed / 2 % 2 == 0 ? test::raw_manifest(small ? test::small_version() : test::large_version(), 1)
                                          : encode_version(small               ? test::small_logged_version()
                                                           : seed / 4 % 2 == 0 ? test::large_logged_version()
                                                           : seed / 8 % 2 == 0 ? test::indexed_version()
                                                                               : test::quantized_version());
    if (sample.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, sample.data(), sample.size());
    size = sample.size();
  }
  if (seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const auto payload = size - manifest_frame_size;
  if (seed % 2 == 0 && payload >= 8) {
    // One field changes its value in place: much of what comes out is still a version.
    LLVMFuzzerMutate(data + manifest_frame_size + seed / 8 % (payload - 7), 8, 8);
  } else {
    size = manifest_frame_size + LLVMFuzzerMutate(data + manifest_frame_size, payload, max_size - manifest_frame_size);
  }
  auto* bytes = reinterpret_cast<std::byte*>(data);
  store(bytes, manifest_magic);
  // An input of an older format stays one.
  if (load<std::uint32_t>(bytes + 8) - 1 > 2) store(bytes + 8, manifest_format_version);
  store<std::uint32_t>(bytes + 20, 0);
  store<std::uint64_t>(bytes + 24, size - manifest_frame_size);
  store(bytes + 32, manifest_checksum({bytes, size}));
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "MANIFEST";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const auto version = decode_version(bytes, path);
    fuzz::accepted();
    // What was read is sound, and is written as it was read: all but the checksum, which this build may not have looked at. encode_version writes formats 2
    // to 4; what came in format 1 comes back from those bytes as the same version.
    if (!find_fault(version).empty()) broken("a version was read that is not sound");
    const auto format = load<std::uint32_t>(&bytes[8]);
    auto again = encode_version(version);
    if (format == 1) {
      if (decode_version(again, path) != version) broken("a version of format 1 is another in format 2");
      again = test::raw_manifest(version, 1);
    }
    if (again.size() != size) broken("a version is written in another length than it was read");
    std::memcpy(&again[32], data + 32, 8);
    if (std::memcmp(again.data(), data, size) != 0) broken("a version is written in other bytes than it was read");
  } catch (const Error& e) {
    if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
    if (e.path() != path || !e.offset()) broken("an error without path or offset");
  }
  return 0;
}
