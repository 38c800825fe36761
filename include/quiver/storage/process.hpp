// What a process asks the system for itself: which one it is, and randomness.
#pragma once

#include <quiver/core/checksum.hpp>
#include <quiver/core/error.hpp>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <unistd.h>

namespace quiver::detail {

/// Differs between a process and those that fork() makes of it. Any thread.
[[nodiscard]] inline std::int64_t process_id() noexcept { return ::getpid(); }

/// A fresh id from the system's source of randomness: from the kernel itself, for std::random_device asks the processor, which under a hypervisor can take as
/// long as a sync. Any thread, and a child of fork() gets others than its parent. io_error: the system has no such source.
[[nodiscard]] inline FileId random_file_id() {
  FileId id;
  if (::getentropy(&id, sizeof id) != 0) fail(Errc::io_error, "cannot get random bytes: " + std::generic_category().message(errno));
  if (id == FileId{}) id.low = 1;
  return id;
}

}  // namespace quiver::detail
