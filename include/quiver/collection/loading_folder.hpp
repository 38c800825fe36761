// The folder beside a path in which a load builds a collection until it is whole.
#pragma once

#include <quiver/manifest/names.hpp>
#include <quiver/storage/directory.hpp>
#include <quiver/storage/process.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace quiver::detail {

/// `path`.loading, made, marked as ours and locked; removed by the destructor with all in it unless published. The mark is a file that no collection has, made
/// before anything else and locked as long as the load lives. What a load left there that was killed, which the mark and the absence of a lock tell, is cleared
/// away. One thread.
template <FileSystem FS>
class LoadingFolder {
 public:
  /// already_exists: something is at `path`, or in the place where it is built and not a load's own; locked: another load, or a writer, is at work there.
  /// Either way nothing was touched. REQUIRES: a path.
  explicit LoadingFolder(const std::filesystem::path& path) : path_(path.has_filename() ? path : path.parent_path()), building_(path_) {
    building_ += ".loading";
    std::error_code error;
    if (std::filesystem::exists(path_, error) && !std::filesystem::is_empty(path_, error))
      fail(Errc::already_exists, path_, "something is here already; choose another path for the collection");
    const auto found = std::filesystem::symlink_status(building_, error);
    if (!std::filesystem::exists(found)) {
      static_cast<void>(Directory<FS>::create(building_));
    } else if (!std::filesystem::is_directory(found)) {
      refuse("something else than a folder");
    }
    const auto directory = Directory<FS>::open(building_, OpenMode::read_write);
    typename FS::Folder folder;
    must(Access::reading, "open the folder", building_, [&] { return FS::open_folder(building_, folder); });
    std::optional<typename Directory<FS>::Lock> lock;
    // Who marks a folder holds the lock of the store, so that nobody's store is marked; who finds it marked asks for the mark first, which a load never gives
    // up.
    if (!require_own(folder)) {
      lock = directory->lock();
      static_cast<void>(require_own(folder));
    }
    take(folder);
    if (!lock) lock = directory->lock();
    clear(*directory, folder);
    owned_ = true;
  }
  LoadingFolder(const LoadingFolder&) = delete;
  LoadingFolder& operator=(const LoadingFolder&) = delete;
  ~LoadingFolder() {
    std::error_code ignored;
    if (owned_) std::filesystem::remove_all(building_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& building() const noexcept { return building_; }
  /// Gives the whole its name, durably. The mark stays in it until the next open that writes. already_exists: something came there meanwhile. REQUIRES: nobody
  /// has it open.
  void publish() {
    bool whole = false;
    for (const auto& file : Directory<FS>::open(building_, OpenMode::read_only)->list()) whole = whole || parse_manifest_name(file.name);
    if (!whole) fail(Errc::unsupported, path_, "the policy keeps its store in no folder of this file system, where alone a load can build it");
    std::error_code error;
    std::filesystem::rename(building_, path_, error);  // replaces an empty folder, nothing else
    if (error == std::errc::directory_not_empty || error == std::errc::file_exists || error == std::errc::not_a_directory)
      fail(Errc::already_exists, path_, "something came here while the dump was loaded; choose another path");
    if (error) fail_io(Access::writing, error.value(), "rename", building_);
    owned_ = false;
    const auto parent = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
    typename FS::Folder above;
    must(Access::reading, "open the folder above", parent, [&] { return FS::open_folder(parent, above); });
    must(Access::writing, "sync the folder", parent, [&] { return FS::sync_folder(above, SyncSite::store_folder_entry); });
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail(Errc::already_exists, building_, what + " is in the place where the collection would be built, and no load that was cut short left it; move it away");
  }
  /// Whether the folder is marked: then it may hold what a store has, else nothing, or the lock file of a store.
  [[nodiscard]] bool require_own(const typename FS::Folder& folder) const {
    std::vector<FolderEntry> entries;
    must(Access::reading, "list the folder", building_, [&] {
      entries.clear();
      return FS::list(folder, entries);
    });
    const bool marked = std::any_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.name == loading_mark_name; });
    for (const auto& entry : entries) {
      if (entry.kind == EntryKind::file && (entry.name == lock_name || (marked && is_own_name(entry.name)))) continue;
      if (entry.kind != EntryKind::folder || !marked || !parse_segment_folder(entry.name)) refuse("'" + entry.name + "'");
      typename FS::Folder inner;
      std::vector<FolderEntry> blocks;
      must(Access::reading, "open the folder", building_ / entry.name, [&] { return FS::open_subfolder(folder, entry.name, inner); });
      must(Access::reading, "list the folder", building_ / entry.name, [&] {
        blocks.clear();
        return FS::list(inner, blocks);
      });
      for (const auto& block : blocks)
        if (block.kind != EntryKind::file || !is_own_name(entry.name + '/' + block.name)) refuse("'" + entry.name + '/' + block.name + "'");
    }
    return marked;
  }
  /// Locks the mark, and makes sure that it is the one under the path: the load that held it may have published the folder meanwhile.
  void take(const typename FS::Folder& folder) {
    const std::string name(loading_mark_name);
    const auto mark = building_ / name;
    const auto busy = [&] { fail(Errc::locked, building_, "another load builds a collection here; wait for its end, or load to another path"); };
    must(Access::writing, "open for locking", mark, [&] { return FS::open_lock_file(folder, name, mark_); });
    const auto locked = uninterrupted([&] { return FS::try_lock(mark_); });
    if (locked.error == EAGAIN) busy();
    if (!locked) fail_io(Access::writing, locked.error, "lock", mark);
    Bytes token, found(16);
    const auto id = random_file_id();
    append(token, id.low);
    append(token, id.high);
    std::uint64_t end = 0;
    write_fully<FS>(mark_, token, end, mark);
    typename FS::Folder there;
    typename FS::File file;
    const bool same = FS::open_folder(building_, there) && FS::open_file(there, name, file) && FS::read_at(file, found, 0) && found == token;
    if (same) return;
    static_cast<void>(FS::remove(folder, name));
    busy();
  }
  /// Removes what is there but the mark and LOCK. REQUIRES: both are held.
  void clear(Directory<FS>& directory, const typename FS::Folder& folder) const {
    static_cast<void>(require_own(folder));
    for (const auto& file : directory.list()) {
      if (file.name == lock_name || file.name == loading_mark_name) continue;
      if (parse_segment_folder(file.name))  // an empty one
        must(Access::writing, "remove", building_ / file.name, [&] { return FS::remove_subfolder(folder, file.name); });
      else
        directory.remove(file.name);
    }
  }

  std::filesystem::path path_;
  std::filesystem::path building_;
  typename FS::File mark_;
  bool owned_ = false;
};

}  // namespace quiver::detail
