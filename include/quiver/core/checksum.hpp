// File ids and XXH3-64 checksums seeded by them, so that a misdirected, stale or foreign chunk does not verify.
// Source: XXH3, xxHash specification (xxHash library, header-only use).
#pragma once

#include <quiver/core/types.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <string_view>

namespace quiver {

/// The random 128-bit identity of one file; never all zero in a valid file.
struct FileId {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend constexpr bool operator==(const FileId&, const FileId&) = default;
};

}  // namespace quiver

namespace quiver::detail {

inline constexpr std::size_t chunk_size = 4096;  // bytes that one checksum covers

/// The seed of the checksum of chunk `number` (from 0) of file `id`.
[[nodiscard]] constexpr std::uint64_t chunk_seed(FileId id, std::uint64_t number) noexcept {
  const std::uint64_t mixed = (id.high ^ (number + 1)) * 0x9E3779B97F4A7C15ull;
  return id.low ^ mixed ^ (mixed >> 32);
}

[[nodiscard]] inline std::uint64_t checksum(ByteSpan bytes, std::uint64_t seed) noexcept { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

/// The checksum of bytes that come piece by piece; the same as checksum() of all of them with seed 0. A value; one thread.
class RunningChecksum {
 public:
  RunningChecksum() noexcept { XXH3_64bits_reset(&state_); }
  void add(ByteSpan bytes) noexcept { XXH3_64bits_update(&state_, bytes.data(), bytes.size()); }
  [[nodiscard]] std::uint64_t value() const noexcept { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

/// Every reader compares checksums through this one function. A fuzzing build accepts any, or no input would get past it.
[[nodiscard]] constexpr bool checksum_matches([[maybe_unused]] std::uint64_t expected, [[maybe_unused]] std::uint64_t found) noexcept {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  return true;
#else
  return expected == found;
#endif
}

/// The checksum of one chunk: at most chunk_size bytes; the last chunk of a file's data may be shorter.
[[nodiscard]] inline std::uint64_t chunk_checksum(FileId id, std::uint64_t number, ByteSpan bytes) noexcept { return checksum(bytes, chunk_seed(id, number)); }

/// The fingerprint of a primary key: XXH3-64, seed 0.
[[nodiscard]] inline std::uint64_t fingerprint(std::string_view key) noexcept { return XXH3_64bits(key.data(), key.size()); }

}  // namespace quiver::detail
