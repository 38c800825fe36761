// The end of a forked child.
#pragma once

#include <unistd.h>

/// There under `make coverage` alone: writes what this process has counted.
extern "C" __attribute__((weak)) int __llvm_profile_write_file();

namespace quiver::test {

/// Ends a forked child without the destructors of its parent's objects, but with the counts of what it ran.
[[noreturn]] inline void leave_child(int status) {
  if (__llvm_profile_write_file != nullptr) static_cast<void>(__llvm_profile_write_file());
  ::_exit(status);
}

}  // namespace quiver::test
