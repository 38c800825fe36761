// Which process this is.
#pragma once

#include <cstdint>

#include <unistd.h>

namespace quiver::detail {

/// Differs between a process and those that fork() makes of it. Any thread.
[[nodiscard]] inline std::int64_t process_id() noexcept { return ::getpid(); }

}  // namespace quiver::detail
