// A store as a folder of files, and the one copy of the protocol that makes a file durable, then visible.
#pragma once

#include <quiver/storage/io_error.hpp>
#include <quiver/storage/policy.hpp>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

namespace quiver::detail {

inline constexpr std::string_view lock_name = "LOCK";
inline constexpr std::string_view temp_suffix = ".tmp";
inline constexpr std::string_view log_file_prefix = "wal-";  // of every log

/// True of a name a store can hold: "name" or "folder/name", made of letters, digits, '-', '_' and '.', no part beginning with '.'.
[[nodiscard]] inline bool valid_file_name(std::string_view name) noexcept {
  bool begins = true;
  int folders = 0;
  for (const char c : name) {
    if (c == '/') {
      if (begins || ++folders > 1) return false;
      begins = true;
      continue;
    }
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!plain && (c != '.' || begins)) return false;
    begins = false;
  }
  return !begins && name.size() <= 200;
}

/// A file opened for reading, its size as it was then.
template <FileSystem FS>
struct OpenedFile {
  typename FS::File file;
  std::filesystem::path path;
  std::uint64_t size = 0;
};

/// One store's folder, shared by its Store, drafts and readers. Reading is safe from any thread; one thread writes at a time.
/// After a failed sync, or a record of a log that was written in part, nobody knows what is on the disk: the directory is poisoned, and all later writing is
/// Errc::io_error until it is opened anew. Only a draft that finds no room in its sync spoils nothing but itself.
template <FileSystem FS>
class Directory : public std::enable_shared_from_this<Directory<FS>> {
 public:
  class Draft;
  class Lock;
  class Log;
  class LogReader;

  /// Makes the folder, and those above it, where missing, each durably. already_exists: something else than what a create cut short leaves is in it.
  [[nodiscard]] static std::shared_ptr<Directory> create(const std::filesystem::path& path) {
    if (path.empty()) fail(Errc::invalid_argument, "a store in files needs a path");
    const auto folder = path.has_filename() ? path : path.parent_path();
    make_folders(folder, true);
    auto made = open(path, OpenMode::read_write, Access::writing);
    for (const auto& entry : list_folder(made->folder_, path))
      if (entry.kind != EntryKind::file || (entry.name != lock_name && !entry.name.starts_with(log_file_prefix) && !entry.name.ends_with(temp_suffix)))
        fail(Errc::already_exists, path, "the folder is not empty, '" + entry.name + "' is in it; choose another path or open what is there");
    return made;
  }
  [[nodiscard]] static std::shared_ptr<Directory> open(const std::filesystem::path& path, OpenMode mode) { return open(path, mode, Access::reading); }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] bool poisoned() const noexcept { return poisoned_.load(std::memory_order_relaxed); }

  /// not_found; corruption for a folder, a pipe or the like in place of a file.
  [[nodiscard]] OpenedFile<FS> open_file(std::string_view name) const {
    OpenedFile<FS> opened;
    opened.path = path_ / name;
    if (!valid_file_name(name)) fail(Errc::corruption, path_, "'" + std::string(name) + "' cannot be the name of a file of a store");
    must(Access::reading, "open for reading", opened.path, [&] { return FS::open_file(folder_, std::string(name), opened.file); });
    FolderEntry entry;
    must(Access::reading, "ask for the size", opened.path, [&] { return FS::describe(opened.file, entry); });
    if (entry.kind != EntryKind::file)
      fail(Errc::corruption, opened.path, entry.kind == EntryKind::folder ? "a folder is in the place of a file" : "this is not a regular file");
    opened.size = entry.size;
    return opened;
  }
  /// A whole small file.
  [[nodiscard]] Bytes read_small(std::string_view name) const {
    const auto opened = open_file(name);
    if (opened.size > small_limit) fail(Errc::corruption, opened.path, std::to_string(opened.size) + " bytes are more than any such file has");
    Bytes bytes(static_cast<std::size_t>(opened.size));
    read_fully<FS>(opened.file, bytes, 0, opened.path);
    return bytes;
  }
  /// Every file in the folder and in the folders in it, ordered by name; temporary ones, whose names end in ".tmp", too.
  [[nodiscard]] std::vector<FileInfo> list() const {
    std::vector<FileInfo> files;
    for (auto& entry : list_folder(folder_, path_)) {
      if (entry.kind != EntryKind::folder) {
        files.push_back({std::move(entry.name), entry.size});
        continue;
      }
      typename FS::Folder inner;
      const auto opened = uninterrupted([&] { return FS::open_subfolder(folder_, entry.name, inner); });
      if (opened.error == ENOENT || opened.error == ENOTDIR) continue;  // removed meanwhile
      if (!opened) fail_io(Access::reading, opened.error, "open the folder", path_ / entry.name);
      const auto before = files.size();
      for (auto& in : list_folder(inner, path_ / entry.name))
        if (in.kind != EntryKind::folder) files.push_back({entry.name + "/" + in.name, in.size});
      // An empty folder is listed by its own name: one that stands where a file belongs must not look like nothing.
      if (files.size() == before) files.push_back({entry.name, 0});
    }
    std::sort(files.begin(), files.end(), [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
    return files;
  }

  /// A new draft: NAME.tmp until it is published. What an earlier process left under that temporary name is replaced, never continued.
  [[nodiscard]] Draft create_draft(std::string_view name) {
    auto draft = unmade_draft(name);
    const auto result = make_temporary(draft, [&] { return FS::create_file(folder_, draft.temp_, draft.file_); });
    if (!result) fail_io(Access::writing, result.error, "create", draft.path());
    return draft;
  }
  /// A draft that is the published file `name` of another directory, whole, without a copy: both directories share it once it is published. nullopt where that
  /// cannot be, for whatever reason: another file system, one without links, a file that was removed meanwhile or is not the one of `identity`.
  /// directory_link.hpp defines it.
  [[nodiscard]] std::optional<Draft> link_draft(std::string_view name, const Directory& from, const FileIdentity& identity);
  /// Makes the drafts durable, all of them, then visible, then their names durable. Either all are published or, on an error before the last
  /// step, none. already_exists: a file of that name is there; it is left alone. no_space: none is published, and writing may go on. io_error after a failed
  /// sync, for good.
  void publish(std::span<Draft> drafts) {
    publish(drafts, [](Draft& draft) -> Draft& { return draft; });
  }
  /// The same for drafts inside of something else; `get` gives the draft.
  template <class T, class Get>
  void publish(std::span<T> drafts, Get&& get) {
    check_writable();
    for (auto& each : drafts) get(each).check_publishable(*this);
    for (auto& each : drafts) {
      auto& draft = get(each);
      const auto result = uninterrupted([&] { return FS::sync_file(draft.file_, SyncSite::draft_data); });
      if (result) continue;
      // It is nobody's yet and is never synced again.
      draft.broken_ = true;
      if (result.error != ENOSPC && result.error != EDQUOT) poison();
      fail_io(Access::writing, result.error, "sync", draft.path());
    }
    std::size_t renamed = 0;
    try {
      for (; renamed < drafts.size(); ++renamed) rename(get(drafts[renamed]));
    } catch (...) {
      // Visible but named by nobody; left there they would stand in the way of the next attempt.
      for (auto& each : drafts.first(renamed)) static_cast<void>(uninterrupted([&] { return FS::remove(folder_, get(each).name_); }));
      throw;
    }
    std::set<std::string> folders;
    for (auto& each : drafts) folders.insert(folder_of(get(each).name_));
    const std::lock_guard guard(names_);
    // The entry of a folder too, once in every process that uses it: one that made it may have ended before this sync.
    if (!std::includes(synced_folders_.begin(), synced_folders_.end(), folders.begin(), folders.end())) folders.emplace();
    for (const auto& name : folders) sync_names(name, SyncSite::published_name);
    synced_folders_.merge(folders);
  }
  /// Gives the file `name` a second name, durable once sync_aside() returned. Where that name is taken nothing happens: an earlier attempt gave it.
  /// A folder stays where it is, for nobody removes it. unsupported: the file system has no links.
  void keep_aside(std::string_view name, std::string_view second) {
    check_writable();
    for (const auto each : {name, second})
      if (!valid_file_name(each)) fail(Errc::invalid_argument, path_, "'" + std::string(each) + "' is not the name of a file of a store");
    const std::lock_guard guard(names_);
    ensure_folder(second);
    const auto result = uninterrupted([&] { return FS::link_from(folder_, std::string(name), folder_, std::string(second)); });
    if (!result && is_folder(name)) return;
    if (result.error == EPERM || result.error == EOPNOTSUPP || result.error == ENOSYS || result.error == EMLINK)
      fail(Errc::unsupported, path_ / name, "the file system cannot give this file a second name to keep it under; copy the folder to one that can");
    if (!result && result.error != EEXIST) fail_io(Access::writing, result.error, "keep aside as " + std::string(second), path_ / name);
  }
  void sync_aside(const std::string& folder) {
    sync_names(folder, SyncSite::published_name);
    sync_names({}, SyncSite::published_name);
  }
  /// A new log that begins with `first`, durable with its name when this returns; directory_log.hpp defines it. What an earlier process left under that name
  /// is removed, never continued. An error leaves no name, or one that the next attempt replaces. io_error after a failed sync, for good.
  [[nodiscard]] Log append_log(std::string_view name, ByteSpan first);
  [[nodiscard]] LogReader read_log(std::string_view name) const;
  /// A file that is missing is no error; nor is a folder in its place, which stays: no store made it. A folder goes with its last file.
  void remove(std::string_view name) {
    check_writable();
    if (!valid_file_name(name)) fail(Errc::invalid_argument, path_, "'" + std::string(name) + "' is not the name of a file of a store");
    const std::lock_guard guard(names_);
    const auto result = uninterrupted([&] { return FS::remove(folder_, std::string(name)); });
    if (!result && result.error != ENOENT && !is_folder(name)) fail_io(Access::writing, result.error, "remove", path_ / name);
    remove_empty_folder(name);
  }
  /// Errc::locked while another Lock lives, in whatever process. The file LOCK is never renamed or removed. What an earlier writer published is durable when
  /// this returns, also if that writer was killed before it had synced the names.
  [[nodiscard]] Lock lock() {
    check_writable();
    Lock lock;
    const auto file = path_ / lock_name;
    must(Access::writing, "open for locking", file, [&] { return FS::open_lock_file(folder_, std::string(lock_name), lock.file_); });
    const auto result = uninterrupted([&] { return FS::try_lock(lock.file_); });
    if (result.error == EAGAIN)
      fail(Errc::locked, path_, "another writer has the store open, in this process or another; close it or open with OpenMode::read_only");
    if (!result) fail_io(Access::writing, result.error, "lock", file);
    sync_names({}, SyncSite::found_names);
    return lock;
  }

 private:
  [[nodiscard]] bool is_folder(std::string_view name) const {
    typename FS::Folder found;
    return static_cast<bool>(uninterrupted([&] { return FS::open_subfolder(folder_, std::string(name), found); }));
  }
  static constexpr std::uint64_t small_limit = std::uint64_t{1} << 30;

  Directory(std::filesystem::path path, OpenMode mode) : path_(std::move(path)), mode_(mode) {}

  static std::shared_ptr<Directory> open(const std::filesystem::path& path, OpenMode mode, Access access) {
    if (path.empty()) fail(Errc::not_found, "no store can be opened without a path");
    std::shared_ptr<Directory> opened(new Directory(path, mode));
    const auto result = uninterrupted([&] { return FS::open_folder(path, opened->folder_); });
    if (result.error == ENOTDIR && access == Access::writing) fail(Errc::already_exists, path, "a file is in the place of the store's folder");
    if (!result) fail_io(Access::reading, result.error, "open the folder", path);
    if (mode == OpenMode::read_write) {
      std::string remote;
      must(Access::reading, "ask for the kind of file system", path, [&] { return FS::remote_kind(opened->folder_, remote); });
      if (!remote.empty())
        fail(Errc::unsupported, path,
             remote + " keeps neither locks nor syncs as a writer needs them; write on a local disk, or open with OpenMode::read_only");
    }
    return opened;
  }
  static void make_folders(const std::filesystem::path& folder, bool is_store) {
    auto parent = folder.parent_path();
    if (parent.empty()) parent = ".";
    auto made = uninterrupted([&] { return FS::make_folder(folder); });
    if (made.error == ENOENT && parent != folder && parent != ".") {
      make_folders(parent, false);
      made = uninterrupted([&] { return FS::make_folder(folder); });
    }
    if (!made && made.error != EEXIST) fail_io(Access::writing, made.error, "make the folder", folder);
    if (!made && !is_store) return;
    // Also where it was there already: an earlier process may have ended before this sync.
    typename FS::Folder above;
    const auto opened = uninterrupted([&] { return FS::open_folder(parent, above); });
    if (opened.error == EACCES && !made) return;
    if (!opened) fail_io(Access::writing, opened.error, "open the folder above", parent);
    must(Access::writing, "sync the folder", parent, [&] { return FS::sync_folder(above, SyncSite::store_folder_entry); });
  }
  static std::string folder_of(std::string_view name) {
    const auto slash = name.find('/');
    return std::string(slash == std::string_view::npos ? std::string_view() : name.substr(0, slash));
  }
  static std::vector<FolderEntry> list_folder(const typename FS::Folder& folder, const std::filesystem::path& path) {
    std::vector<FolderEntry> entries;
    must(Access::reading, "list the folder", path, [&] {
      entries.clear();
      return FS::list(folder, entries);
    });
    return entries;
  }

  [[nodiscard]] Draft unmade_draft(std::string_view name) {
    check_writable();
    if (!valid_file_name(name) || name.ends_with(temp_suffix))
      fail(Errc::invalid_argument, path_, "'" + std::string(name) + "' is not a name for a file of a store");
    return Draft(this->shared_from_this(), std::string(name));
  }
  // Calls make(), which makes the temporary file, and once more where an old one was in its way. The draft is live if that succeeds.
  template <class Make>
  IoResult make_temporary(Draft& draft, Make&& make) {
    const std::lock_guard guard(names_);
    if (drafts_.contains(draft.name_)) fail(Errc::already_exists, draft.path(), "this file is being written already");
    ensure_folder(draft.name_);
    auto result = uninterrupted(make);
    if (result.error == EEXIST) {
      // Removed, not truncated: a crash between link and unlink leaves a temporary name of a published file.
      must(Access::writing, "remove the old draft", draft.path(), [&] { return FS::remove(folder_, draft.temp_); });
      result = uninterrupted(make);
    }
    if (result)
      draft.live_ = drafts_.insert(draft.name_).second;
    else
      remove_empty_folder(draft.name_);
    return result;
  }
  void check_writable() const {
    if (mode_ == OpenMode::read_only) fail(Errc::read_only, path_, "the store was opened read-only");
    if (poisoned()) fail(Errc::io_error, path_, "an earlier sync or write failed, so what the disk holds is unknown; close the store and open it again");
  }
  // Makes the folder of `name`; its entry is synced when something in it is published.
  void ensure_folder(std::string_view name) {
    const auto folder = folder_of(name);
    if (synced_folders_.contains(folder)) return;
    const auto made = uninterrupted([&] { return FS::make_subfolder(folder_, folder); });
    if (!made && made.error != EEXIST) fail_io(Access::writing, made.error, "make the folder", path_ / folder);
  }
  void sync_names(const std::string& folder, SyncSite site) {
    if (folder.empty()) return sync("sync the folder", path_, [&] { return FS::sync_folder(folder_, site); });
    typename FS::Folder inner;
    sync("open the folder to sync it", path_ / folder, [&] { return FS::open_subfolder(folder_, folder, inner); });
    sync("sync the folder", path_ / folder, [&] { return FS::sync_folder(inner, site); });
  }
  void poison() noexcept { poisoned_.store(true, std::memory_order_relaxed); }
  // A sync that failed is not tried again: the system may have dropped what it could not write, and the next sync would find nothing to do.
  template <class Call>
  void sync(std::string_view operation, const std::filesystem::path& path, Call&& call) {
    const auto result = uninterrupted(call);
    if (result) return;
    poison();
    // Never no_space: that says that nothing happened.
    if (result.error == ENOSPC || result.error == EDQUOT)
      fail(Errc::io_error, path, "cannot " + std::string(operation) + ": the disk is full; free some space, close the store and open it again");
    fail_io(Access::writing, result.error, operation, path);
  }
  void rename(Draft& draft) {
    auto result = uninterrupted([&] { return FS::rename_new(folder_, draft.temp_, draft.name_); });
    if (result.error == EINVAL || result.error == ENOSYS) {
      result = uninterrupted([&] { return FS::link(folder_, draft.temp_, draft.name_); });
      // The file has both names now; a second name that cannot be removed is garbage and no more.
      if (result) static_cast<void>(uninterrupted([&] { return FS::remove(folder_, draft.temp_); }));
    }
    if (!result) fail_io(Access::writing, result.error, "publish", path_ / draft.name_);
    end(draft);
  }
  void end(Draft& draft) noexcept {
    draft.live_ = false;
    draft.file_ = typename FS::File();
    const std::lock_guard guard(names_);
    drafts_.erase(draft.name_);
  }
  // What cannot be removed is garbage that nobody names; the next writer clears it away.
  void discard(Draft& draft) noexcept {
    draft.live_ = false;
    draft.file_ = typename FS::File();
    const std::lock_guard guard(names_);
    static_cast<void>(uninterrupted([&] { return FS::remove(folder_, draft.temp_); }));
    remove_empty_folder(draft.name_);
    drafts_.erase(draft.name_);
  }
  // REQUIRES: names_ is held.
  void remove_empty_folder(std::string_view name) {
    if (const auto folder = folder_of(name); !folder.empty() && uninterrupted([&] { return FS::remove_subfolder(folder_, folder); }))
      synced_folders_.erase(folder);
  }

  std::filesystem::path path_;
  OpenMode mode_;
  typename FS::Folder folder_;
  std::atomic<bool> poisoned_{false};
  std::mutex names_;
  std::set<std::string> synced_folders_{std::string()};  // in which something was published, so that they are there for certain; {}: the store's own
  std::set<std::string> drafts_;                         // live ones
};

/// A file being written, NAME.tmp; removed by its destructor unless published. Move-only. One thread. Keeps its directory alive.
template <FileSystem FS>
class Directory<FS>::Draft {
 public:
  Draft(Draft&& other) noexcept { *this = std::move(other); }
  Draft& operator=(Draft&& other) noexcept {
    if (this == &other) return *this;
    discard();
    directory_ = std::move(other.directory_);
    name_ = std::move(other.name_);
    temp_ = std::move(other.temp_);
    file_ = std::move(other.file_);
    written_ = other.written_;
    live_ = std::exchange(other.live_, false);
    broken_ = other.broken_;
    linked_ = other.linked_;
    return *this;
  }
  ~Draft() { discard(); }

  /// no_space, io_error; afterwards the draft cannot be published. REQUIRES: not published, not moved from.
  void append(ByteSpan bytes) {
    if (!live_ || linked_) fail(Errc::invalid_argument, "a draft that was published or moved from, or is a link, takes no bytes");
    directory_->check_writable();
    try {
      write_fully<FS>(file_, bytes, written_, path());
    } catch (...) {
      broken_ = true;
      throw;
    }
  }

 private:
  friend Directory;
  Draft(std::shared_ptr<Directory> directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)), temp_(name_ + std::string(temp_suffix)) {}

  [[nodiscard]] std::filesystem::path path() const { return directory_->path_ / temp_; }
  void check_publishable(const Directory& directory) const {
    if (!live_ || directory_.get() != &directory) fail(Errc::invalid_argument, "only a draft of this store that was not published yet can be published");
    if (broken_) fail(Errc::io_error, path(), "writing this draft failed; write it anew");
    FolderEntry entry;
    must(Access::writing, "ask for the size", path(), [&] { return FS::describe(file_, entry); });
    if (entry.size != written_)
      fail(Errc::io_error, path(), "the file has " + std::to_string(entry.size) + " bytes, " + std::to_string(written_) + " were written");
  }
  void discard() noexcept {
    if (live_) directory_->discard(*this);
  }

  std::shared_ptr<Directory> directory_;
  std::string name_;
  std::string temp_;
  typename FS::File file_;
  std::uint64_t written_ = 0;
  bool live_ = false;
  bool broken_ = false;
  bool linked_ = false;  // to a published file, which is never written to
};

/// The right to write, until destroyed. Move-only. Not inherited by programs that this one starts; a forked child must end or exec without using it.
template <FileSystem FS>
class Directory<FS>::Lock {
 public:
  Lock(Lock&&) noexcept = default;
  Lock& operator=(Lock&&) noexcept = default;

 private:
  friend Directory;
  Lock() = default;
  typename FS::File file_;
};

}  // namespace quiver::detail
