// The seam below the file policies: the few primitives of an operating system that quiver's protocols are written in.
#pragma once

#include <quiver/core/types.hpp>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace quiver {

/// Every sync of the library has a name, so that a test can leave one out and must then fail.
enum class SyncSite : std::uint8_t {
  draft_data,          ///< the bytes of a draft, before its rename
  published_name,      ///< the folder that a draft was renamed in, and the store's own where that folder is new in it
  found_names,         ///< the store's folder, before a new writer relies on the names that an earlier one left
  store_folder_entry,  ///< the folder above a store's folder, after that was made
  log_begin,           ///< the first bytes of a log
  log_name,            ///< the folder that a log was made in
  log_data             ///< what was appended to a log
};

inline constexpr std::size_t sync_sites = 7;

/// What a primitive answers: how many bytes it moved, and the errno value of its failure (0: none).
struct IoResult {
  std::size_t count = 0;
  int error = 0;
  [[nodiscard]] explicit operator bool() const noexcept { return error == 0; }
};

enum class EntryKind : std::uint8_t { file, folder, other };

/// One name in a folder.
struct FolderEntry {
  std::string name;
  EntryKind kind = EntryKind::other;
  std::uint64_t size = 0;
};

enum class Advice : std::uint8_t { normal, random, sequential };

/// How a file is mapped.
struct MapHints {
  bool populate = false;  ///< bring the whole file into memory now
  Advice advice = Advice::normal;
};

// clang-format off

/// Primitives, all static: a file system is a place, not an object. Handles close themselves; a default handle is empty.
/// Nothing here retries, loops, cleans up or throws (but std::bad_alloc): read and write may move fewer bytes than asked for and any call may
/// answer EINTR; detail::Directory and detail::read_fully deal with both. Names are relative to a folder and may hold one '/'. Safe from any thread; one thread per handle writes.
template <class FS>
concept FileSystem =
    std::default_initializable<typename FS::File> && std::movable<typename FS::File> &&
    std::default_initializable<typename FS::Folder> && std::movable<typename FS::Folder> &&
    std::default_initializable<typename FS::Mapping> && std::movable<typename FS::Mapping> &&
    requires(typename FS::File& file, const typename FS::File& open_file, typename FS::Folder& folder, const typename FS::Folder& in, typename FS::Mapping& mapping,
             const typename FS::Mapping& mapped, const std::filesystem::path& path, const std::string& name, std::span<std::byte> to, ByteSpan from, std::uint64_t offset,
             std::size_t length, FolderEntry& entry, std::vector<FolderEntry>& entries, std::string& remote, const MapHints& hints, SyncSite site) {
      { FS::open_folder(path, folder) } -> std::same_as<IoResult>;
      { FS::open_subfolder(in, name, folder) } -> std::same_as<IoResult>;
      { FS::make_folder(path) } -> std::same_as<IoResult>;
      { FS::make_subfolder(in, name) } -> std::same_as<IoResult>;
      { FS::create_file(in, name, file) } -> std::same_as<IoResult>;          // for writing; EEXIST
      { FS::open_file(in, name, file) } -> std::same_as<IoResult>;            // for reading; never waits
      { FS::open_lock_file(in, name, file) } -> std::same_as<IoResult>;       // made if missing
      { FS::describe(open_file, entry) } -> std::same_as<IoResult>;           // kind and size; the name stays
      { FS::read_at(open_file, to, offset) } -> std::same_as<IoResult>;       // 0 bytes: the end of the file
      { FS::write_at(file, from, offset) } -> std::same_as<IoResult>;
      { FS::allocate(file, offset, length) } -> std::same_as<IoResult>;       // room for these bytes, zeros; ENOSPC before any of it is needed; EOPNOTSUPP: cannot
      { FS::sync_file(file, site) } -> std::same_as<IoResult>;                // data and size
      { FS::sync_folder(in, site) } -> std::same_as<IoResult>;                // names
      { FS::rename_new(in, name, name) } -> std::same_as<IoResult>;           // EEXIST instead of replacing; EINVAL or ENOSYS: cannot do that
      { FS::link(in, name, name) } -> std::same_as<IoResult>;                 // EEXIST
      { FS::link_from(in, name, in, name) } -> std::same_as<IoResult>;        // the same from one folder into another; EXDEV: not within one file system
      { FS::remove(in, name) } -> std::same_as<IoResult>;                     // a file
      { FS::remove_subfolder(in, name) } -> std::same_as<IoResult>;           // ENOTEMPTY
      { FS::list(in, entries) } -> std::same_as<IoResult>;                    // appends; what is removed meanwhile may be in it
      { FS::try_lock(file) } -> std::same_as<IoResult>;                       // EAGAIN while another handle holds it, of this process too; until closed
      { FS::remote_kind(in, remote) } -> std::same_as<IoResult>;              // "NFS", "9p" ... where locks and syncs cannot be trusted; else empty
      { FS::map_ro(open_file, length, hints, mapping) } -> std::same_as<IoResult>;  // REQUIRES: 0 < length <= the file's size
      { mapped.data() } noexcept -> std::same_as<const std::byte*>;           // aligned to 4096
      { mapped.will_need(offset, length) } noexcept;                          // a hint
    };

// clang-format on

}  // namespace quiver
