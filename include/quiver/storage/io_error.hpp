// From errno to quiver's errors, and the two habits every call needs: interrupted ones are repeated, short ones go on.
#pragma once

#include <quiver/core/error.hpp>
#include <quiver/storage/file_system.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace quiver::detail {

enum class Access : std::uint8_t { reading, writing };

/// Throws what a failed call means: the operation, the path, the system's text and what to do.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail_io(Access access, int error, std::string_view operation, const std::filesystem::path& path) {
  const auto text = [&](std::string_view advice) {
    return "cannot " + std::string(operation) + ": " + std::generic_category().message(error) + " (errno " + std::to_string(error) + ")" + std::string(advice);
  };
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      fail(access == Access::reading ? Errc::not_found : Errc::io_error, path, text(""));
    case EEXIST:
      fail(Errc::already_exists, path, text("; a store's files are never replaced"));
    case ENOSPC:
    case EDQUOT:
      fail(Errc::no_space, path, text("; free some space and write again"));
    case EROFS:
      fail(Errc::read_only, path, text("; open it with OpenMode::read_only"));
    case EACCES:
    case EPERM:
      if (access == Access::writing) fail(Errc::read_only, path, text("; open it with OpenMode::read_only, or get the right to write"));
      fail(Errc::io_error, path, text("; get the right to read"));
    case EMFILE:
      fail(Errc::io_error, path, text("; the process has reached its limit of open files: raise RLIMIT_NOFILE (ulimit -n)"));
    case ENFILE:
      fail(Errc::io_error, path, text("; the machine has reached its limit of open files: raise fs.file-max"));
    case ENOMEM:
      fail(Errc::io_error, path, text("; memory or address space is short, or vm.max_map_count is reached"));
    default:
      fail(Errc::io_error, path, text(""));
  }
}

/// Repeats an interrupted call. Bounded, so that an endless storm of signals is an error and not a hang.
template <class Call>
[[nodiscard]] IoResult uninterrupted(Call&& call) {
  IoResult result;
  for (int i = 0; i < 1000; ++i) {
    result = call();
    if (result.error != EINTR) break;
  }
  return result;
}

template <class Call>
void must(Access access, std::string_view operation, const std::filesystem::path& path, Call&& call) {
  if (const auto result = uninterrupted(call); !result) fail_io(access, result.error, operation, path);
}

/// Fills `to` from `offset`; a file that ends before is Errc::corruption.
template <FileSystem FS>
void read_fully(const typename FS::File& file, std::span<std::byte> to, std::uint64_t offset, const std::filesystem::path& path) {
  while (!to.empty()) {
    const auto result = uninterrupted([&] { return FS::read_at(file, to, offset); });
    if (!result) fail_io(Access::reading, result.error, "read " + std::to_string(to.size()) + " bytes at offset " + std::to_string(offset), path);
    if (result.count == 0) fail(Errc::corruption, path, offset, "the file ends here, " + std::to_string(to.size()) + " bytes too early");
    offset += result.count;
    to = to.subspan(std::min(result.count, to.size()));
  }
}

/// Writes all of `from` at `offset`, which moves along with what was written, also when the rest cannot be.
template <FileSystem FS>
void write_fully(typename FS::File& file, ByteSpan from, std::uint64_t& offset, const std::filesystem::path& path) {
  while (!from.empty()) {
    const auto result = uninterrupted([&] { return FS::write_at(file, from, offset); });
    // A write that moves nothing and names no error would be tried for ever.
    if (!result || result.count == 0)
      fail_io(Access::writing, result ? EIO : result.error, "write " + std::to_string(from.size()) + " bytes at offset " + std::to_string(offset), path);
    offset += result.count;
    from = from.subspan(std::min(result.count, from.size()));
  }
}

}  // namespace quiver::detail
