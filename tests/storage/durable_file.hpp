// A store with logs on the disk in memory, and what a crash leaves of them.
#pragma once

#include <quiver/storage/directory_log.hpp>

#include "support/crash_states.hpp"
#include "support/recording_file_system.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace quiver::test {

[[nodiscard]] inline bool starts_with(ByteSpan bytes, ByteSpan with) {
  return bytes.size() >= with.size() && std::ranges::equal(bytes.first(with.size()), with);
}
[[nodiscard]] inline bool is_zero(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

/// The bytes of a file on a disk; nothing if the name is not there.
[[nodiscard]] inline std::optional<Bytes> file_on(InodePtr disk, const std::filesystem::path& path) {
  for (const auto& part : path.relative_path()) {
    const auto found = disk->names.find(part.string());
    if (found == disk->names.end()) return std::nullopt;
    disk = found->second;
  }
  return disk->bytes;
}

/// The file as a crash now may leave it if all that no sync covered is lost.
[[nodiscard]] inline std::optional<Bytes> durable_file(const std::filesystem::path& path) {
  const auto ops = RecordingFileSystem::log();
  return file_on(disk_after(empty_disk(), ops, durable_fates(durable_at(ops), ops.size())), path);
}

}  // namespace quiver::test
